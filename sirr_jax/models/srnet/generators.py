"""Two generators of SR-Net."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.layers.range import to_unit
from sirr_jax.models.network import Network
from sirr_jax.models.published_segmenter import PublishedSegmenter
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import Restoration, padded_image
from sirr_jax.models.srnet import forward
from sirr_jax.models.srnet.convolve import convolve
from sirr_jax.models.srnet.labels import check_labels, label_channels
from sirr_jax.models.srnet.source import SOURCE
from sirr_jax.models.srnet.trunk import Trunk

_MULTIPLE = 4
_SMALLEST = 12
# Logit of the input class, to which a refiner adds its correction: a probability of 90 percent with seven classes.
_CERTAINTY = 4.0
SYNTHESES = ("transposed", "spade")


def _check(image: jax.Array, labels: jax.Array, mode: str, classes: int) -> None:
    _, height, width, _ = image.shape
    if height % _MULTIPLE or width % _MULTIPLE or min(height, width) < _SMALLEST:
        raise UserError(
            f"image size {height}x{width} does not fit SR-Net; it takes multiples of {_MULTIPLE} from {_SMALLEST} px "
            "a side: pad or crop the image first"
        )
    if labels.shape[1:3] != (height, width):
        label_size = "x".join(map(str, labels.shape[1:3]))
        raise UserError(f"the label map is {label_size}, the image {height}x{width}; the sizes must be equal")
    check_labels(labels.shape[-1], mode, classes)


def _shapes(size: tuple[int, int], mode: str, classes: int) -> tuple[tuple[int, ...], ...]:
    height, width = (max(n + -n % _MULTIPLE, _SMALLEST) for n in size)
    return (1, height, width, 3), (1, height, width, label_channels(mode, classes))


def _trunk_name(mode: str) -> str:
    # Three classes and three colors have the same shapes: in a state dict the name distinguishes them.
    return "trunk" if mode == "logits" else "palette_trunk"


@register("srnet/refiner", year=2019, verified="PyTorch twin (our reconstruction)", source=SOURCE)
class LabelRefiner(Network):
    """Refiner of the segmentation of a degraded image (stage 1, semantically guided adaptation).

    Inputs and output are the authors' (section 2.1 of the SR-Net specification); the layers are a design of this
    project (section 2.3).

    Attributes:
        width: "base" (as designed) or "tiny" (narrow).
        mode: "logits" for labels as one channel per class, or "palette" for labels as colors, which the published
            figures suggest but which is less robust with many classes.
        classes: number of classes; no effect on the layers in mode "palette".
        spectral_norm: whether all convolutions have spectral normalization; those of the residual blocks then have no
            bias.
        correction: whether the output of the last layer is added to the input segmentation (one-hot labels as logits
            of 4; the correction of a color is doubled). Without it (section 2.3) the network must first learn to copy
            the segmentation through features of a quarter of its resolution.
        dtype: computation type; parameters and outputs stay float32.
    """

    mode: str = "logits"
    classes: int = 19
    spectral_norm: bool = False
    correction: bool = False
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        # Raises for invalid values now, not when the network is first applied.
        label_channels(self.mode, self.classes)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        return _shapes(size, self.mode, self.classes)

    @nn.compact
    def __call__(self, image: jax.Array, labels: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Refines the segmentation.

        Args:
            image: degraded images I_d [B, H, W, 3], RGB in [-1, 1]; H and W are multiples of 4, at least 12.
            labels: segmentation S_d, one-hot [B, H, W, classes], or RGB of the palette in [-1, 1] [B, H, W, 3].
            train: whether to update the vectors of spectral normalization.

        Returns:
            `semantic_logits` [B, H, W, classes]; in mode "palette" `label_map` [B, H, W, 3], colors in [-1, 1], whose
            class is that of the nearest color of the palette.

        Raises:
            UserError: The size of the image or the label map does not fit.
        """
        _check(image, labels, self.mode, self.classes)
        common: dict[str, Any] = {"train": train, "dtype": self.dtype}
        x = jnp.concatenate((image, labels), axis=-1)
        x = Trunk(self.width, self.spectral_norm, dtype=self.dtype, name=_trunk_name(self.mode))(x, train=train)
        output = "semantic_logits" if self.mode == "logits" else "label_map"
        channels = label_channels(self.mode, self.classes)
        # In a state dict the name distinguishes outputs and corrections.
        head = "label_correction" if self.correction else output
        y = convolve(reflect_pad(x, 3), channels, kernel=7, spectral=self.spectral_norm, name=head, **common)
        y = y.astype(jnp.float32)
        if self.mode == "logits":
            return {output: _CERTAINTY * labels + y if self.correction else y}
        return {output: labels + 2.0 * jnp.tanh(y) if self.correction else jnp.tanh(y)}


def _restore(networks: Mapping[str, Any], image: jax.Array) -> dict[str, jax.Array]:
    """Labels before and after refinement as colors, `segmented` and `refined`."""
    refiner = networks["refiner"]
    code = forward.LabelCode(refiner.mode, refiner.classes)
    segmenter, variables = networks["segmenter"].unbind()
    segment = functools.partial(PublishedSegmenter(segmenter).labels, variables)
    outputs = forward.run_chain(code, segment, refiner, networks["restorer"], padded_image(image, multiple_of=4))
    return {
        "restored": to_unit(outputs.restored),
        "segmented": code.colors(outputs.segmented),
        "refined": code.colors(code.decode(code.soft(outputs.refined))),
    }


@register(
    "srnet/restorer",
    year=2019,
    verified="PyTorch twin (our reconstruction)",
    source=SOURCE,
    restore=Restoration(("segmenter", "refiner", "restorer"), _restore),
)
class LabelGuidedRestorer(Network):
    """Restorer of a degraded image, guided by its label map (stage 2, exemplar-guided synthesis).

    Inputs and output are the authors' (section 2.1 of the SR-Net specification); the layers are a design of this
    project (sections 2.3 and 2.5).

    Attributes:
        width: "base" (as designed) or "tiny" (narrow).
        mode: "logits" for labels as one channel per class, or "palette" for labels as colors.
        classes: number of classes; no effect on the layers in mode "palette".
        synthesis: "transposed" for image and labels as one input and transposed convolutions, or "spade" for the image
            as input and labels that modulate all normalizations after the encoder.
        correction: whether the output of the last layer, doubled, is added to the degraded image. Without it (section
            2.3) the mean color of the image is lost: the instance normalization after the first convolution removes
            constants that are added to the image.
        dtype: computation type; parameters and outputs stay float32.
    """

    mode: str = "logits"
    classes: int = 19
    synthesis: str = "transposed"
    correction: bool = False
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        # Raises for invalid values now, not when the network is first applied.
        label_channels(self.mode, self.classes)
        if self.synthesis not in SYNTHESES:
            raise UserError(f"SR-Net has no synthesis {self.synthesis!r}; choose one of {', '.join(SYNTHESES)}")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        return _shapes(size, self.mode, self.classes)

    @nn.compact
    def __call__(self, image: jax.Array, labels: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Restores the image.

        Args:
            image: degraded images I_d [B, H, W, 3], RGB in [-1, 1]; H and W are multiples of 4, at least 12.
            labels: segmentation S_r, probabilities (softmax or one-hot) [B, H, W, classes], or RGB of the palette in
                [-1, 1] [B, H, W, 3].
            train: no effect (the network has no dropout and no statistics).

        Returns:
            `restored` [B, H, W, 3] RGB in [-1, 1], or with `correction` slightly beyond.

        Raises:
            UserError: The size of the image or the label map does not fit.
        """
        _check(image, labels, self.mode, self.classes)
        trunk = Trunk(self.width, dtype=self.dtype, name=_trunk_name(self.mode))
        if self.synthesis == "spade":
            x = trunk(image, labels=labels, train=train)
        else:
            x = trunk(jnp.concatenate((image, labels), axis=-1), train=train)
        # In a state dict the name distinguishes outputs and corrections.
        head = "correction_map" if self.correction else "restored"
        y = convolve(reflect_pad(x, 3), 3, kernel=7, dtype=self.dtype, name=head)
        y = jnp.tanh(y.astype(jnp.float32))
        return {"restored": image + 2.0 * y if self.correction else y}
