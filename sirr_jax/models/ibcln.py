"""IBCLN: two networks refine transmission and reflection in turns (Li et al., CVPR 2020)."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.context_autoencoder import ContextDecoder, ContextEncoder, Decoded
from sirr_jax.layers.conv_lstm import ConvLSTM, State
from sirr_jax.models.network import Network
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.models.width import scaled


class Refiner(Network):
    """Draws one layer anew from the image and the present guesses. Baselines specification, section 5.2.

    AttentiveGAN's contextual autoencoder with a ConvLSTM in its middle. 10,804,169 parameters.

    Attributes:
        width: "base" as published, "tiny" narrow.
        dtype: computation type; parameters are float32.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, image: jax.Array, transmission: jax.Array, reflection: jax.Array, state: State | None, *, train: bool
    ) -> tuple[Decoded, State]:
        """One step.

        Args:
            image: [B, H, W, 3].
            transmission: the present guess, [B, H, W, 3].
            reflection: the present guess, [B, H, W, 3].
            state: the memory, h and c [B, H/4, W/4, C]; None before the first step.
            train: whether features are dropped (rng `dropout`).

        Returns:
            The next guess at three resolutions (not negative), and the next memory.
        """
        x = jnp.concatenate((image, transmission, reflection), axis=-1)
        channels = tuple(scaled(n, self.width) for n in (64, 128, 256))
        encoded = ContextEncoder(channels, dtype=self.dtype, name="encoder")(x)
        state = ConvLSTM(channels[-1], dtype=self.dtype, name="lstm")(encoded.quarter, state)
        decoder = ContextDecoder(scaled(32, self.width), rectified=True, dropout=0.3, dtype=self.dtype, name="decoder")
        return decoder(encoded._replace(quarter=state[0]), train=train), state


class Cascade(Network):
    """Photograph through glass -> transmission and reflection, refined in turns. 2 x 10,804,169 parameters.

    Baselines specification, section 5.1: T_0 is the photograph, R_0 is 0.1; each step draws T from them, then R from
    the new T.

    Attributes:
        width: "base" as published, "tiny" narrow.
        steps: how often each layer is refined; the weights are the same in each step.
        dtype: computation type; parameters and outputs stay float32.
    """

    steps: int = 3
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"steps is {self.steps}; the cascade needs at least one step")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for images of about `size`."""
        height, width = (max(n // 4, 1) * 4 for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array | tuple[jax.Array, ...]]:
        """Separate.

        Args:
            image: [B, H, W, 3] RGB in [0, 1]; H and W multiples of 4.
            train: whether features are dropped (rng `dropout`). The authors' test run leaves that on, so its results
                vary from run to run; ours leaves it off unless asked.

        Returns:
            `restored` and `reflection` [B, H, W, 3], T and R of the last step, not negative, not clipped at 1;
            `restored_steps` and `reflection_steps`, those of every step; the last step's side outputs
            `restored_half`, `reflection_half` [B, H/2, W/2, 3], `restored_quarter`, `reflection_quarter`
            [B, H/4, W/4, 3].

        Raises:
            UserError: if H or W is not a multiple of 4.
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


class Discriminator(PatchDiscriminator):
    """The 70x70 patch discriminator that judges T_3, [B, H, W, 3] RGB in [0, 1] as it is. 2,764,737 parameters.

    Baselines specification, section 5.3; attributes, sizes and output as in `PatchDiscriminator`.
    """

    rescale: ClassVar[bool] = False
