"""The single-image student."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.padding import pad_to_multiple
from sirr_jax.models.dynamics.decoder import Decoder
from sirr_jax.models.dynamics.encoder import Encoder
from sirr_jax.models.dynamics.hallucination import hallucinate
from sirr_jax.models.dynamics.hypercolumn import check_convention
from sirr_jax.models.dynamics.widths import widths


class Student(nn.Module):
    """One photograph -> its transmission layer (our reconstruction of Zheng et al. 2021, see the package).

    Attributes:
        width: "base", "medium", "small", "compact" or "tiny"; the teacher's, if it is to be distilled from one.
        hallucination: False lets the decoder read the encoder's features directly (ablation).
        hypercolumn: "caffe" or "torchvision" adds what VGG-19 with such weights sees (`Hypercolumn`); "" for none.
        dtype: computation type; parameters and the restored image stay float32.
    """

    width: str = "base"
    hallucination: bool = True
    hypercolumn: str = ""
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        widths(self.width)  # refuse an unknown one now, not when the network is first applied
        if self.hypercolumn:
            check_convention(self.hypercolumn)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for an image of about `size`."""
        height, width = (max(n, 16) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Restore.

        Args:
            image: [B, H, W, 3] RGB in [0, 1], any size from 16 px a side (padded by reflection to multiples of 16
                and cropped back).
            train: without effect (the network has no dropout and no batch statistics).

        Returns:
            `restored` [B, H, W, 3] (not clipped), `knowledge` K_hat and `features` f (the encoder's own)
            [B, h, w, C] with h = ceil(H/16)*4.
        """
        w = widths(self.width)
        _, height, width, _ = image.shape
        padded = pad_to_multiple(image, 16)
        encoded = Encoder(w, dtype=self.dtype, name="encoder")(padded)
        skips, knowledge = hallucinate(
            w, self.hypercolumn, padded, encoded, imagines=self.hallucination, dtype=self.dtype
        )
        restored = Decoder(w, dtype=self.dtype, name="decoder")(knowledge, skips.half, skips.full, padded)
        return {
            "restored": restored[:, :height, :width],
            "knowledge": knowledge,
            "features": encoded.quarter,
        }
