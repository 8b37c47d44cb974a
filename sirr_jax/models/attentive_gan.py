"""AttentiveGAN: raindrop removal guided by a recurrent attention map (Qian et al. 2018, arXiv 1711.10098)."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.context_autoencoder import ContextDecoder, ContextEncoder
from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_lstm import ConvLSTM, State
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import Apply, Restoration, padded_image
from sirr_jax.models.width import scaled

_HEADS = ("dense", "gap")
_SIDE = 224  # the image size of the published dense head
_SMALLEST = 11  # the smallest side that leaves a pixel after the two convolutions with stride 4


class RectifiedResidual(nn.Module):
    """Residual block `relu(x + relu(conv(relu(conv(x)))))`, with a ReLU on the branch before the sum too."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block to `x` [B, H, W, C]; keeps the shape."""
        channels = x.shape[-1]
        y = nn.relu(conv(channels, dtype=self.dtype, name="conv1")(x))
        y = nn.relu(conv(channels, dtype=self.dtype, name="conv2")(y))
        return nn.relu(x + y)


class AttentionStep(nn.Module):
    """One step of the attentive-recurrent network, which refines the attention map.

    AttentiveGAN specification, section 2.1.

    Attributes:
        features: channels of the features and of the LSTM state.
        dtype: computation type; parameters are float32.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, attention: jax.Array, state: State | None) -> tuple[jax.Array, State]:
        """Computes the next attention map and the next state.

        Args:
            image: images [B, H, W, 3], of the computation type.
            attention: the previous attention map [B, H, W, 1].
            state: h and c of the LSTM, [B, H, W, features] each; None before the first step.

        Returns:
            The next attention map [B, H, W, 1], which is linear (not limited to [0, 1]), and the next state.
        """
        x = jnp.concatenate((image, attention), axis=-1)
        x = nn.relu(conv(self.features, dtype=self.dtype, name="stem")(x))
        for i in range(1, 6):
            x = RectifiedResidual(dtype=self.dtype, name=f"residual{i}")(x)
        state = ConvLSTM(self.features, dtype=self.dtype, name="lstm")(x, state)
        return conv(1, dtype=self.dtype, name="map")(state[0]), state


_SOURCE = PretrainedInfo("rui1996/DeRaindrop", "none stated", "`weights/gen.pkl` in the repository")


def _restore(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """BGR in and out; one attention map per step, the last the best: unbounded, trained towards [0, 1]."""
    outputs = networks["generator"](padded_image(image[..., ::-1], multiple_of=4))
    maps = {f"attention_{step}": attention for step, attention in enumerate(outputs.get("attention", ()), start=1)}
    return {"restored": outputs["restored"][..., ::-1]} | maps


@register(
    "attentive_gan/generator",
    year=2018,
    verified="reference outputs of the original; PyTorch twin",
    source=_SOURCE,
    restore=Restoration(("generator",), _restore),
)
class Generator(Network):
    """Generator that removes raindrops on glass from a photograph. 6,244,362 parameters.

    AttentiveGAN specification, sections 2.1 and 2.2.

    Attributes:
        width: "base" (as published), "small" or "tiny" (narrow).
        attentive: whether the network has the attentive-recurrent part; False is the paper's ablation.
        steps: number of refinements of the attention map, all with the same weights.
        dtype: computation type; parameters and outputs stay float32.
    """

    attentive: bool = True
    steps: int = 4
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"steps is {self.steps}; the attention map needs at least one step")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n // 4, 1) * 4 for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(
        self,
        image: jax.Array,
        *,
        mask: jax.Array | None = None,
        train: bool = False,  # noqa: ARG002
    ) -> dict[str, jax.Array | tuple[jax.Array, ...]]:
        """Removes the raindrops.

        Args:
            image: images [B, H, W, 3], **BGR** in [0, 1]; H and W are multiples of 4.
            mask: map of the drops [B, H, W, 1], about 1 where they are. It replaces the last attention map in the
                input of the autoencoder, for example with an edited map.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `attention`, the maps A_1..A_steps, [B, H, W, 1] each, unbounded (absent without `attentive`);
            `restored_quarter` [B, H/4, W/4, 3] and `restored_half` [B, H/2, W/2, 3], not negative; `restored`
            [B, H, W, 3] BGR, unbounded.

        Raises:
            UserError: H or W is not a multiple of 4, the mask has another shape than the image, or the network has no
                attention.
        """
        batch, height, width, _ = image.shape
        if height % 4 or width % 4:
            raise UserError(f"image size {height}x{width} is not a multiple of 4; crop or pad it first")
        x = image.astype(self.dtype)
        outputs: dict[str, jax.Array | tuple[jax.Array, ...]] = {}
        if self.attentive:
            maps = self._attend(x)
            outputs["attention"] = tuple(a.astype(jnp.float32) for a in maps)
            last = maps[-1]
            if mask is not None:
                if mask.shape != (batch, height, width, 1):
                    raise UserError(f"mask has shape {mask.shape}, expected {(batch, height, width, 1)} as the image")
                last = mask.astype(self.dtype)
            x = jnp.concatenate((x, last), axis=-1)
        elif mask is not None:
            raise UserError("a generator with attentive=False takes no mask; leave the mask out")
        channels = (scaled(64, self.width), scaled(128, self.width), scaled(256, self.width))
        encoded = ContextEncoder(channels, dtype=self.dtype, name="encoder")(x)
        images = ContextDecoder(scaled(32, self.width), dtype=self.dtype, name="decoder")(encoded)
        return outputs | {
            "restored_quarter": images.quarter.astype(jnp.float32),
            "restored_half": images.half.astype(jnp.float32),
            "restored": images.full.astype(jnp.float32),
        }

    def _attend(self, image: jax.Array) -> list[jax.Array]:
        step = AttentionStep(scaled(32, self.width), dtype=self.dtype, name="attention")
        attention, state = jnp.full_like(image[..., :1], 0.5), None
        maps = []
        for _ in range(self.steps):
            attention, state = step(image, attention, state)
            maps.append(attention)
        return maps


@register(
    "attentive_gan/discriminator",
    year=2018,
    verified="reference outputs of the original; PyTorch twin",
    source=_SOURCE._replace(weights="none published"),
)
class Discriminator(Network):
    """Discriminator of clean and restored photographs, with an attention map. 7,737,746 parameters.

    AttentiveGAN specification, section 2.3: the network of the published code, without its duplicate `conv7` and with
    the features multiplied by the map.

    Attributes:
        width: "base" (as published), "small" or "tiny" (narrow).
        attentive: whether the network has the attention map; False is the paper's ablation.
        head: "dense", as published, takes images of 224x224 only; "gap" (ours) first averages the last features over
            the image and takes any size.
        dtype: computation type; parameters and outputs stay float32.
    """

    attentive: bool = True
    head: str = "dense"
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.head not in _HEADS:
            raise UserError(f"there is no head {self.head!r}; choose one of {', '.join(_HEADS)}")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size`; with a dense head always 224x224."""
        height, width = (_SIDE, _SIDE) if self.head == "dense" else (max(n, _SMALLEST) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the probability that each image is real.

        Args:
            image: images [B, H, W, 3], **BGR** in [0, 1]; 224x224 with a dense head, else at least 11x11.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `attention` [B, H, W, 1], unbounded (absent without `attentive`); `logits` [B, 1] and `probability`
            [B, 1], their sigmoid, near 1 for images that look real.

        Raises:
            UserError: The head does not take images of this size.
        """
        batch, height, width, _ = image.shape
        if self.head == "dense" and (height, width) != (_SIDE, _SIDE):
            raise UserError(
                f"image size {height}x{width}, but a dense head takes {_SIDE}x{_SIDE} only; crop, or build with "
                "head='gap'"
            )
        if min(height, width) < _SMALLEST:
            raise UserError(
                f"image size {height}x{width} is too small; the discriminator takes images from {_SMALLEST} px a side"
            )
        x = image
        for i, channels in enumerate((8, 16, 64, 128, 128, 128), start=1):
            x = nn.relu(conv(scaled(channels, self.width), kernel=5, dtype=self.dtype, name=f"conv{i}")(x))
        outputs = {}
        if self.attentive:
            attention = conv(1, kernel=5, dtype=self.dtype, name="map")(x)
            outputs["attention"] = attention.astype(jnp.float32)
            x = x * attention
        for i, channels in ((7, 64), (8, 32)):
            channels = scaled(channels, self.width)
            x = nn.relu(conv(channels, kernel=5, stride=4, padding=1, dtype=self.dtype, name=f"conv{i}")(x))
        if self.head == "dense":
            # The published kernel is ordered by channels first.
            x = x.transpose(0, 3, 1, 2).reshape(batch, -1)
        else:
            # Means over many pixels lose digits in bfloat16.
            x = x.astype(jnp.float32).mean(axis=(1, 2)).astype(self.dtype)
        x = nn.Dense(scaled(1024, self.width), dtype=self.dtype, name="hidden")(x)
        logits = nn.Dense(1, dtype=self.dtype, name="logits")(x).astype(jnp.float32)
        return outputs | {"logits": logits, "probability": nn.sigmoid(logits)}
