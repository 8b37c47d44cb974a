"""SR-Net's two generators."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.models.network import Network
from sirr_jax.models.srnet.convolve import convolve
from sirr_jax.models.srnet.labels import check_labels, label_channels
from sirr_jax.models.srnet.trunk import Trunk

_MULTIPLE = 4
_SMALLEST = 12
# Logit of the class that a refiner is shown, to which it adds its correction: of seven classes, 90 percent.
_CERTAINTY = 4.0
SYNTHESES = ("transposed", "spade")


def _check(image: jax.Array, labels: jax.Array, mode: str, classes: int) -> None:
    _, height, width, _ = image.shape
    if height % _MULTIPLE or width % _MULTIPLE or min(height, width) < _SMALLEST:
        raise UserError(
            f"image size {height}x{width} does not suit SR-Net; it takes multiples of {_MULTIPLE} from {_SMALLEST} px "
            "a side: pad or crop the image first"
        )
    if labels.shape[1:3] != (height, width):
        found = "x".join(map(str, labels.shape[1:3]))
        raise UserError(f"the label map is {found}, the image {height}x{width}; they must be of one size")
    check_labels(labels.shape[-1], mode, classes)


def _shapes(size: tuple[int, int], mode: str, classes: int) -> tuple[tuple[int, ...], ...]:
    height, width = (max(n + -n % _MULTIPLE, _SMALLEST) for n in size)
    return (1, height, width, 3), (1, height, width, label_channels(mode, classes))


def _trunk_name(mode: str) -> str:
    # Three classes and three colors make the same shapes: in a state dict the name tells them apart.
    return "trunk" if mode == "logits" else "palette_trunk"


class LabelRefiner(Network):
    """Degraded image and its segmentation -> a better segmentation (stage 1, semantically guided adaptation).

    Inputs and output are the authors' (section 2.1 of the SR-Net specification); the layers are a design (section
    2.3).

    Attributes:
        width: "base" as designed, "tiny" narrow.
        mode: "logits", labels as one channel per class; or "palette", labels as colors, which the published figures
            suggest but which grows fragile with many classes.
        classes: number of classes; without effect on the layers in mode "palette".
        spectral_norm: whether every convolution has spectral normalization; those of the residual blocks then have no
            bias.
        correction: whether the network's answer is added to the segmentation that it is shown (one-hot labels as
            logits of 4; a color's correction is doubled). Without it (section 2.3) the network must first learn to
            copy the segmentation through features of a quarter of its resolution.
        dtype: computation type; parameters and outputs stay float32.
    """

    mode: str = "logits"
    classes: int = 19
    spectral_norm: bool = False
    correction: bool = False
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        # Refuse what does not exist now, not when the network is first applied.
        label_channels(self.mode, self.classes)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for images of about `size`."""
        return _shapes(size, self.mode, self.classes)

    @nn.compact
    def __call__(self, image: jax.Array, labels: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Refine.

        Args:
            image: I_d [B, H, W, 3] RGB in [-1, 1]; H and W multiples of 4, at least 12.
            labels: S_d, one-hot [B, H, W, classes], or the palette's RGB in [-1, 1] [B, H, W, 3].
            train: whether spectral normalization moves.

        Returns:
            `semantic_logits` [B, H, W, classes]; in mode "palette" `label_map` [B, H, W, 3], colors in [-1, 1] of
            which the nearest in the palette is the class.

        Raises:
            UserError: if the image's size or the label map does not suit.
        """
        _check(image, labels, self.mode, self.classes)
        common = {"train": train, "dtype": self.dtype}
        x = jnp.concatenate((image, labels), axis=-1)
        x = Trunk(self.width, self.spectral_norm, dtype=self.dtype, name=_trunk_name(self.mode))(x, train=train)
        output = "semantic_logits" if self.mode == "logits" else "label_map"
        channels = label_channels(self.mode, self.classes)
        # In a state dict the name tells which of the two it is.
        head = "label_correction" if self.correction else output
        y = convolve(reflect_pad(x, 3), channels, kernel=7, spectral=self.spectral_norm, name=head, **common)
        y = y.astype(jnp.float32)
        if self.mode == "logits":
            return {output: _CERTAINTY * labels + y if self.correction else y}
        return {output: labels + 2.0 * jnp.tanh(y) if self.correction else jnp.tanh(y)}


class LabelGuidedRestorer(Network):
    """Degraded image and its label map -> the clean image (stage 2, exemplar-guided synthesis).

    Inputs and output are the authors' (section 2.1 of the SR-Net specification); the layers are a design (sections
    2.3 and 2.5).

    Attributes:
        width: "base" as designed, "tiny" narrow.
        mode: "logits", labels as one channel per class; or "palette", labels as colors.
        classes: number of classes; without effect on the layers in mode "palette".
        synthesis: "transposed", image and labels enter together and transposed convolutions enlarge; or "spade", the
            image alone enters, and the labels modulate every normalization behind the encoder.
        correction: whether the network's answer, doubled, is added to the degraded image. Without it (section 2.3) the
            color of the whole image is lost: the instance normalization behind the first convolution removes what
            any constant adds to the image.
        dtype: computation type; parameters and outputs stay float32.
    """

    mode: str = "logits"
    classes: int = 19
    synthesis: str = "transposed"
    correction: bool = False
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        # Refuse what does not exist now, not when the network is first applied.
        label_channels(self.mode, self.classes)
        if self.synthesis not in SYNTHESES:
            raise UserError(f"SR-Net has no synthesis {self.synthesis!r}; choose one of {', '.join(SYNTHESES)}")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for images of about `size`."""
        return _shapes(size, self.mode, self.classes)

    @nn.compact
    def __call__(self, image: jax.Array, labels: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Restore.

        Args:
            image: I_d [B, H, W, 3] RGB in [-1, 1]; H and W multiples of 4, at least 12.
            labels: S_r, probabilities (softmax or one-hot) [B, H, W, classes], or the palette's RGB in [-1, 1]
                [B, H, W, 3].
            train: without effect (the network has no dropout and no statistics).

        Returns:
            `restored` [B, H, W, 3] RGB in [-1, 1]; a correction may lead a little beyond.

        Raises:
            UserError: if the image's size or the label map does not suit.
        """
        _check(image, labels, self.mode, self.classes)
        trunk = Trunk(self.width, dtype=self.dtype, name=_trunk_name(self.mode))
        if self.synthesis == "spade":
            x = trunk(image, labels=labels, train=train)
        else:
            x = trunk(jnp.concatenate((image, labels), axis=-1), train=train)
        # In a state dict the name tells which of the two it is.
        head = "correction_map" if self.correction else "restored"
        y = convolve(reflect_pad(x, 3), 3, kernel=7, dtype=self.dtype, name=head)
        y = jnp.tanh(y.astype(jnp.float32))
        return {"restored": image + 2.0 * y if self.correction else y}
