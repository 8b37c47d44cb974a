"""SR-Net's two discriminators, which judge patches (Isola et al. 2017)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.models.network import Network
from sirr_jax.models.srnet.convolve import convolve
from sirr_jax.models.srnet.labels import check_labels, label_channels
from sirr_jax.models.width import scaled

_FEATURES = (64, 128, 256, 512)
_STRIDES = (2, 2, 2, 1)
_SMALLEST = 24


def _judge(x: jax.Array, head: str, *, width: str, **common: Any) -> dict[str, Any]:
    """Apply the layers `conv0` to `conv3` and `head` of the calling module to `x` [B, H, W, C]."""
    if min(x.shape[1:3]) < _SMALLEST:
        size = "x".join(map(str, x.shape[1:3]))
        raise UserError(f"image size {size} is too small to judge; SR-Net's discriminators take {_SMALLEST} px a side")
    layer = {"kernel": 4, "padding": 1, "bias": False} | common
    maps = []
    for i, (features, stride) in enumerate(zip(_FEATURES, _STRIDES, strict=True)):
        x = nn.leaky_relu(convolve(x, scaled(features, width), stride=stride, name=f"conv{i}", **layer), 0.2)
        maps.append(x)
    maps = tuple(y.astype(jnp.float32) for y in (*maps, convolve(x, 1, name=head, **layer)))
    return {"scores": maps[-1], "features": maps}


class MapDiscriminator(Network):
    """Label map -> one score per patch of 70 px: is it a true map or a refined one? SR-Net specification, section 2.4.

    Five 4x4 convolutions without bias, padding 1, strides 2, 2, 2, 1, 1, with spectral normalization; leaky ReLU 0.2
    between them (design; certain is that it sees the map alone).

    Attributes:
        width: "base" as designed, "tiny" narrow.
        mode: "logits", labels as one channel per class; or "palette", labels as colors.
        classes: number of classes; without effect on the layers in mode "palette".
        spectral_norm: whether the convolutions have spectral normalization.
        dtype: computation type; parameters and outputs stay float32.
    """

    mode: str = "logits"
    classes: int = 19
    spectral_norm: bool = True
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        # Refuse what does not exist now, not when the network is first applied.
        label_channels(self.mode, self.classes)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for maps of about `size`."""
        height, width = (max(n, _SMALLEST) for n in size)
        return ((1, height, width, label_channels(self.mode, self.classes)),)

    @nn.compact
    def __call__(self, labels: jax.Array, *, train: bool = False) -> dict[str, Any]:
        """Judge.

        Args:
            labels: probabilities (softmax or one-hot) [B, H, W, classes], or palette RGB in [-1, 1] [B, H, W, 3]; H
                and W at least 24.
            train: whether spectral normalization moves.

        Returns:
            `scores` [B, h, w, 1], unbounded; `features`, a tuple of all five maps, the scores last, for feature
            matching.

        Raises:
            UserError: if the map is too small or has another number of channels.
        """
        check_labels(labels.shape[-1], self.mode, self.classes)
        # In a state dict the name tells three classes, three colors and images apart.
        head = "map_scores" if self.mode == "logits" else "palette_scores"
        return _judge(labels, head, width=self.width, spectral=self.spectral_norm, train=train, dtype=self.dtype)


class ImageDiscriminator(Network):
    """RGB -> one score per patch of 70 px: is it a clean image or a restored one? SR-Net specification, section 2.4.

    The layers of `MapDiscriminator` (design; certain is that it sees the image alone).

    Attributes:
        width: "base" as designed, "tiny" narrow.
        spectral_norm: whether the convolutions have spectral normalization.
        dtype: computation type; parameters and outputs stay float32.
    """

    spectral_norm: bool = True
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for images of about `size`."""
        height, width = (max(n, _SMALLEST) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, Any]:
        """Judge.

        Args:
            image: [B, H, W, 3] RGB in [-1, 1], H and W at least 24.
            train: whether spectral normalization moves.

        Returns:
            `scores` [B, h, w, 1], unbounded; `features`, a tuple of all five maps, the scores last.

        Raises:
            UserError: if the image is too small.
        """
        return _judge(
            image, "image_scores", width=self.width, spectral=self.spectral_norm, train=train, dtype=self.dtype
        )
