"""Two patch discriminators of SR-Net (Isola et al. 2017)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.models.network import Network
from sirr_jax.models.registry import register
from sirr_jax.models.srnet.convolve import convolve
from sirr_jax.models.srnet.labels import check_labels, label_channels
from sirr_jax.models.srnet.source import SOURCE
from sirr_jax.models.width import scaled

_FEATURES = (64, 128, 256, 512)
_STRIDES = (2, 2, 2, 1)
_SMALLEST = 24


def _discriminate(x: jax.Array, head: str, *, width: str, **common: Any) -> dict[str, Any]:
    """Applies the layers `conv0` to `conv3` and `head` of the calling module to `x` [B, H, W, C]."""
    if min(x.shape[1:3]) < _SMALLEST:
        size = "x".join(map(str, x.shape[1:3]))
        raise UserError(f"image size {size} is too small; SR-Net's discriminators take {_SMALLEST} px a side")
    layer = {"kernel": 4, "padding": 1, "bias": False} | common
    maps = []
    for i, (features, stride) in enumerate(zip(_FEATURES, _STRIDES, strict=True)):
        x = nn.leaky_relu(convolve(x, scaled(features, width), stride=stride, name=f"conv{i}", **layer), 0.2)
        maps.append(x)
    maps.append(convolve(x, 1, name=head, **layer))
    feature_maps = tuple(y.astype(jnp.float32) for y in maps)
    return {"scores": feature_maps[-1], "features": feature_maps}


@register("srnet/map_discriminator", year=2019, verified="PyTorch twin (our reconstruction)", source=SOURCE)
class MapDiscriminator(Network):
    """Discriminator of true and refined label maps, with one score per patch of 70 px. Specification, section 2.4.

    Five 4x4 convolutions without bias, padding 1, strides 2, 2, 2, 1, 1, with spectral normalization; leaky ReLU 0.2
    between them. The layers are a design of this project; the authors define only that the input is the label map.

    Attributes:
        width: "base" (as designed) or "tiny" (narrow).
        mode: "logits", labels as one channel per class; or "palette", labels as colors.
        classes: number of classes; no effect on the layers in mode "palette".
        spectral_norm: whether the convolutions have spectral normalization.
        dtype: computation type; parameters and outputs stay float32.
    """

    mode: str = "logits"
    classes: int = 19
    spectral_norm: bool = True
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        # Raises for invalid values now, not when the network is first applied.
        label_channels(self.mode, self.classes)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for maps of about `size` (height, width)."""
        height, width = (max(n, _SMALLEST) for n in size)
        return ((1, height, width, label_channels(self.mode, self.classes)),)

    @nn.compact
    def __call__(self, labels: jax.Array, *, train: bool = False) -> dict[str, Any]:
        """Computes the scores of the patches.

        Args:
            labels: probabilities (softmax or one-hot) [B, H, W, classes], or palette RGB in [-1, 1] [B, H, W, 3]; H
                and W are at least 24.
            train: whether to update the vectors of spectral normalization.

        Returns:
            `scores` [B, h, w, 1], unbounded; `features`, a tuple of all five maps, the scores last, for feature
            matching.

        Raises:
            UserError: The map is too small, or has the wrong number of channels.
        """
        check_labels(labels.shape[-1], self.mode, self.classes)
        # In a state dict the name distinguishes three classes, three colors and images.
        head = "map_scores" if self.mode == "logits" else "palette_scores"
        return _discriminate(labels, head, width=self.width, spectral=self.spectral_norm, train=train, dtype=self.dtype)


@register("srnet/image_discriminator", year=2019, verified="PyTorch twin (our reconstruction)", source=SOURCE)
class ImageDiscriminator(Network):
    """Discriminator of clean and restored images, with one score per patch of 70 px. Specification, section 2.4.

    The layers are those of `MapDiscriminator`; the authors define only that the input is the image.

    Attributes:
        width: "base" (as designed) or "tiny" (narrow).
        spectral_norm: whether the convolutions have spectral normalization.
        dtype: computation type; parameters and outputs stay float32.
    """

    spectral_norm: bool = True
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n, _SMALLEST) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, Any]:
        """Computes the scores of the patches.

        Args:
            image: images [B, H, W, 3], RGB in [-1, 1], H and W at least 24.
            train: whether to update the vectors of spectral normalization.

        Returns:
            `scores` [B, h, w, 1], unbounded; `features`, a tuple of all five maps, the scores last.

        Raises:
            UserError: The image is too small.
        """
        return _discriminate(
            image, "image_scores", width=self.width, spectral=self.spectral_norm, train=train, dtype=self.dtype
        )
