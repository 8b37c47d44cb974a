"""The multi-task generator: reflection removal and semantic segmentation in one network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.models.network import Network
from sirr_jax.models.sgrrn.encoder import BACKBONES, SLOW_MOMENTUM, Encoder
from sirr_jax.models.sgrrn.semantic import SemanticDecoder
from sirr_jax.models.sgrrn.separation import SeparationDecoder

_PARTS = ("Basic", "Channel", "Pyramid", "Guidance", "Semantic")
_SMALLEST = 32


class Generator(Network):
    """Image with reflection -> background, reflection and object classes.

    SGRRN specification, sections 1 to 5 (Liu et al. 2022). Without "Guidance" the semantic branch and the separation
    share the encoder alone. All parameters exist in every mode, so that weights fit whatever the mode.

    Attributes:
        width: "base" or "tiny".
        backbone: "resnet101" (published default) or "resnet50".
        mode: the parts in use: "Basic", and any of "Channel", "Pyramid", "Guidance" and "Semantic" (the semantic branch
            without guidance), joined by "+"; or "OnlySemantic".
        classes: 21: those of PASCAL VOC, 0 is the background.
        momentum: weight of a new batch in the running statistics of the encoder and the semantic branch.
        axis_name: a pmapped axis to take batch statistics over, so that several devices equal one. This and `momentum`
            change no variable and belong to a training run, not to the model.
        dtype: computation type, and that of `features`; parameters and the other outputs stay float32.
    """

    backbone: str = "resnet101"
    mode: str = "Basic+Channel+Pyramid+Guidance"
    classes: int = 21
    momentum: float = SLOW_MOMENTUM
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise UserError(f"sgrrn/generator has no backbone {self.backbone!r}; choose resnet101 or resnet50")
        parts = self.mode.split("+")
        if self.mode != "OnlySemantic" and (parts[0] != "Basic" or not set(parts) <= set(_PARTS)):
            raise UserError(
                f"sgrrn/generator has no mode {self.mode!r}; choose OnlySemantic, or Basic followed by any of "
                f"{', '.join('+' + part for part in _PARTS[1:])}"
            )
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of inputs, batch 1, at about `size`."""
        return ((1, *(max(side, _SMALLEST) for side in size), 3),)

    @nn.compact
    def __call__(
        self, image: jax.Array, *, samples: jax.Array | None = None, train: bool = False
    ) -> dict[str, jax.Array | dict[str, jax.Array]]:
        """Part the layers.

        Args:
            image: [B, H, W, 3] RGB in [-1, 1], any size from 32 px a side.
            samples: [B] integers by which the samples' dropped features differ; None for their places in the batch.
            train: normalize with the statistics of the batch; drop features (needs a key named "dropout").

        Returns:
            `restored` and `reflection` [B, H, W, 3], about [-1, 1], not clipped (not in mode "OnlySemantic");
            `semantic_logits` [B, H, W, classes] (in modes with a semantic part); and `features`: what `Encoder`
            returns, and as far as the mode computes them `semantic` (what the classifier reads, 256 channels),
            `fusion`, `channel`, `pyramid`, `guided_1`, `guided_2` (64 channels at the image's size).

        Raises:
            UserError: if the image is smaller.
        """
        if min(image.shape[1:3]) < _SMALLEST:
            raise UserError(
                f"sgrrn/generator needs images of at least {_SMALLEST}x{_SMALLEST}, not "
                f"{image.shape[1]}x{image.shape[2]}; enlarge or pad them"
            )
        parts = tuple(self.mode.split("+"))
        # Initialization runs every part, whatever the mode.
        everything = self.is_initializing()
        slow = {"momentum": self.momentum, "axis_name": self.axis_name, "dtype": self.dtype}
        features = Encoder(self.width, self.backbone, **slow, name="encoder")(image, train=train)
        outputs: dict[str, jax.Array | dict[str, jax.Array]] = {}
        logits = None
        if everything or {"Guidance", "Semantic", "OnlySemantic"} & set(parts):
            decoder = SemanticDecoder(self.width, self.classes, **slow, name="semantic")
            features["semantic"], logits = decoder(features, samples=samples, train=train)
            outputs["semantic_logits"] = logits.astype(jnp.float32)
        if everything or "Basic" in parts:
            decoder = SeparationDecoder(
                self.width, parts, axis_name=self.axis_name, dtype=self.dtype, name="separation"
            )
            layers, states = decoder(features, logits, train=train)
            features |= states
            outputs["restored"], outputs["reflection"] = jnp.split(layers.astype(jnp.float32), 2, axis=-1)
        return {**outputs, "features": features}
