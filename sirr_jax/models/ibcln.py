"""IBCLN: two networks refine transmission and reflection in turn (Li et al., CVPR 2020)."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.context_autoencoder import ContextDecoder, ContextEncoder, ContextImages
from sirr_jax.layers.conv_lstm import ConvLSTM, State
from sirr_jax.models.network import Network
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import RestoreSpec
from sirr_jax.models.width import scaled


class Refiner(Network):
    """Network that re-estimates one layer from the image and the current estimates of both layers.

    Baselines specification, section 5.2: AttentiveGAN's contextual autoencoder with a ConvLSTM in the middle.
    10,804,169 parameters.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        dtype: computation type; parameters are float32.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, image: jax.Array, transmission: jax.Array, reflection: jax.Array, state: State | None, *, train: bool
    ) -> tuple[ContextImages, State]:
        """Runs one step of the cascade.

        Args:
            image: images [B, H, W, 3].
            transmission: current estimate of the transmission [B, H, W, 3].
            reflection: current estimate of the reflection [B, H, W, 3].
            state: h and c of the LSTM, [B, H/4, W/4, C] each; None before the first step.
            train: whether to apply dropout (rng `dropout`).

        Returns:
            The next estimate at three resolutions (not negative), and the next state.
        """
        x = jnp.concatenate((image, transmission, reflection), axis=-1)
        channels = (scaled(64, self.width), scaled(128, self.width), scaled(256, self.width))
        encoded = ContextEncoder(channels, dtype=self.dtype, name="encoder")(x)
        state = ConvLSTM(channels[-1], dtype=self.dtype, name="lstm")(encoded.quarter, state)
        decoder = ContextDecoder(scaled(32, self.width), rectified=True, dropout=0.3, dtype=self.dtype, name="decoder")
        return decoder(encoded._replace(quarter=state[0]), train=train), state


_SOURCE = PretrainedInfo(
    "JHL-HUST/IBCLN",
    "BSD-2-Clause",
    "`final_net_G_T.pth`, `final_net_G_R.pth`, Google Drive 1Dnlb875jP-F3vcFHlolcPTXFn4RmnQNr",
)


@register(
    "ibcln/cascade",
    year=2020,
    verified="reference outputs of the original; PyTorch twin",
    source=_SOURCE,
    restore=RestoreSpec(multiple_of=4, outputs=("restored", "reflection")),
)
class Cascade(Network):
    """Cascade that refines transmission and reflection in turn. 2 x 10,804,169 parameters.

    Baselines specification, section 5.1: T_0 is the photograph, R_0 is 0.1; each step estimates T from both, then R
    with the new T.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        steps: number of refinements of each layer, all with the same weights.
        dtype: computation type; parameters and outputs stay float32.
    """

    steps: int = 3
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"steps is {self.steps}; the cascade needs at least one step")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n // 4, 1) * 4 for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array | tuple[jax.Array, ...]]:
        """Separates transmission and reflection.

        Args:
            image: images [B, H, W, 3], RGB in [0, 1]; H and W are multiples of 4.
            train: whether to apply dropout (rng `dropout`). The authors' test code applies it, so its results vary from
                run to run; here it is off by default.

        Returns:
            `restored` and `reflection` [B, H, W, 3], T and R of the last step, not negative, not clipped at 1;
            `restored_steps` and `reflection_steps`, those of each step; and the side outputs of the last step,
            `restored_half`, `reflection_half` [B, H/2, W/2, 3], `restored_quarter`, `reflection_quarter`
            [B, H/4, W/4, 3].

        Raises:
            UserError: H or W is not a multiple of 4.
        """
        _, height, width, _ = image.shape
        if height % 4 or width % 4:
            raise UserError(f"image size {height}x{width} is not a multiple of 4; crop or pad it first")
        refine_t = Refiner(self.width, dtype=self.dtype, name="transmission")
        refine_r = Refiner(self.width, dtype=self.dtype, name="reflection")
        image = image.astype(self.dtype)
        restored, reflection = image, jnp.full_like(image, 0.1)
        state_t = state_r = None
        restored_steps, reflection_steps = [], []
        for _ in range(self.steps):
            t, state_t = refine_t(image, restored, reflection, state_t, train=train)
            restored = t.full
            r, state_r = refine_r(image, restored, reflection, state_r, train=train)
            reflection = r.full
            restored_steps.append(restored.astype(jnp.float32))
            reflection_steps.append(reflection.astype(jnp.float32))
        return {
            "restored": restored_steps[-1],
            "reflection": reflection_steps[-1],
            "restored_steps": tuple(restored_steps),
            "reflection_steps": tuple(reflection_steps),
            "restored_half": t.half.astype(jnp.float32),
            "restored_quarter": t.quarter.astype(jnp.float32),
            "reflection_half": r.half.astype(jnp.float32),
            "reflection_quarter": r.quarter.astype(jnp.float32),
        }


@register("ibcln/discriminator", year=2020, verified="PyTorch twin", source=_SOURCE._replace(weights="none published"))
class Discriminator(PatchDiscriminator):
    """70x70 patch discriminator of T_3, [B, H, W, 3] RGB in [0, 1], not rescaled. 2,764,737 parameters.

    Baselines specification, section 5.3. See `PatchDiscriminator` for the attributes, sizes and outputs.
    """

    rescale: ClassVar[bool] = False
