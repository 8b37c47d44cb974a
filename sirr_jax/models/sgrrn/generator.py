"""Multi-task generator for reflection removal and semantic segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.palettes import colorize, palette
from sirr_jax.layers.range import to_signed, to_unit
from sirr_jax.models.network import Network
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import Apply, Restoration, padded_image
from sirr_jax.models.sgrrn.encoder import BACKBONES, SLOW_MOMENTUM, SharedEncoder
from sirr_jax.models.sgrrn.semantic import SemanticDecoder
from sirr_jax.models.sgrrn.separation import SeparationDecoder
from sirr_jax.models.sgrrn.source import SOURCE

_PARTS = ("Basic", "Channel", "Pyramid", "Guidance", "Semantic")
_SMALLEST = 32


def _restore(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """RGB in [-1, 1]; the largest pooling window is 32. Label maps are returned as colors where the mode has them."""
    outputs = networks["generator"](to_signed(padded_image(image, multiple_of=1, minimum=_SMALLEST)))
    if "restored" not in outputs:
        raise UserError(
            "this sgrrn/generator has the mode OnlySemantic: it labels objects and removes no reflection; load a "
            "generator of another mode"
        )
    images = {name: to_unit(outputs[name]) for name in ("restored", "reflection")}
    if "semantic_logits" in outputs:
        logits = outputs["semantic_logits"]
        colors = jnp.asarray(colorize(logits.argmax(axis=-1), palette(logits.shape[-1])))
        images["labels"] = colors.astype(jnp.float32) / 255.0
    return images


@register(
    "sgrrn/generator",
    year=2019,
    verified="reference outputs of the original",
    source=SOURCE,
    restore=Restoration(("generator",), _restore),
)
class Generator(Network):
    """Generator that estimates background, reflection and object classes.

    SGRRN specification, sections 1 to 5 (Liu et al. 2022). Without "Guidance", the semantic branch and the separation
    branch share only the encoder. All parameters exist in every mode, so that weights fit all modes.

    Attributes:
        width: "base" or "tiny".
        backbone: "resnet101" (published default) or "resnet50".
        mode: parts in use: "Basic" and any of "Channel", "Pyramid", "Guidance" and "Semantic" (the semantic branch
            without guidance), joined by "+"; or "OnlySemantic".
        classes: number of classes; 21 for PASCAL VOC, where 0 is the background.
        momentum: weight of the new batch in the running statistics of the encoder and the semantic branch.
        axis_name: name of a pmapped axis over which batch statistics are averaged, so that several devices equal one.
            This and `momentum` have no effect on the variables and belong to a training run, not to the model.
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
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        return ((1, *(max(side, _SMALLEST) for side in size), 3),)

    @nn.compact
    def __call__(
        self, image: jax.Array, *, samples: jax.Array | None = None, train: bool = False
    ) -> dict[str, jax.Array | dict[str, jax.Array]]:
        """Separates background and reflection.

        Args:
            image: images [B, H, W, 3], RGB in [-1, 1], any size from 32 px a side.
            samples: integers [B] from which the dropout keys of the images are derived; None for their positions in the
                batch.
            train: whether to normalize with the statistics of the batch and apply dropout (needs an rng "dropout").

        Returns:
            `restored` and `reflection` [B, H, W, 3], about [-1, 1], not clipped (not in mode "OnlySemantic");
            `semantic_logits` [B, H, W, classes] (in modes with a semantic part); and `features`: those of the encoder,
            and if the mode computes them, `semantic` (the input of the classifier, 256 channels), `fusion`, `channel`,
            `pyramid`, `guided_1`, `guided_2` (64 channels at the size of the image).

        Raises:
            UserError: The image is smaller than 32x32.
        """
        if min(image.shape[1:3]) < _SMALLEST:
            raise UserError(
                f"sgrrn/generator needs images of at least {_SMALLEST}x{_SMALLEST}, not "
                f"{image.shape[1]}x{image.shape[2]}; enlarge or pad them"
            )
        parts = tuple(self.mode.split("+"))
        # Initialization runs all parts in every mode.
        all_parts = self.is_initializing()
        options: dict[str, Any] = {"momentum": self.momentum, "axis_name": self.axis_name, "dtype": self.dtype}
        features = SharedEncoder(self.width, self.backbone, **options, name="encoder")(image, train=train)
        outputs: dict[str, jax.Array | dict[str, jax.Array]] = {}
        logits = None
        if all_parts or {"Guidance", "Semantic", "OnlySemantic"} & set(parts):
            semantic = SemanticDecoder(self.width, self.classes, **options, name="semantic")
            features["semantic"], logits = semantic(features, samples=samples, train=train)
            outputs["semantic_logits"] = logits.astype(jnp.float32)
        if all_parts or "Basic" in parts:
            separation = SeparationDecoder(
                self.width, parts, axis_name=self.axis_name, dtype=self.dtype, name="separation"
            )
            layers, states = separation(features, logits, train=train)
            features |= states
            outputs["restored"], outputs["reflection"] = jnp.split(layers.astype(jnp.float32), 2, axis=-1)
        return {**outputs, "features": features}
