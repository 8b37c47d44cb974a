"""Single-image student."""

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
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import RestoreSpec


@register("dynamics/student", year=2021, verified="NumPy transcription (our reconstruction)", restore=RestoreSpec())
class Student(nn.Module):
    """Student, which estimates the transmission layer of one photograph (reconstruction of Zheng et al. 2021).

    Attributes:
        width: "base", "medium", "small", "compact" or "tiny"; for distillation that of the teacher.
        hallucination: whether to hallucinate knowledge; False (ablation) decodes the features of the encoder directly.
        hypercolumn: convention of the VGG-19 weights, "caffe" or "torchvision", of the `Hypercolumn`; "" for none.
        dtype: computation type; parameters and the restored image stay float32.
    """

    width: str = "base"
    hallucination: bool = True
    hypercolumn: str = ""
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        widths(self.width)  # raises for an unknown width now, not when the network is first applied
        if self.hypercolumn:
            check_convention(self.hypercolumn)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n, 16) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Estimates the transmission.

        Args:
            image: images [B, H, W, 3], RGB in [0, 1], any size from 16 px a side (padded by reflection to multiples of
                16 and cropped back).
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `restored` [B, H, W, 3] (not clipped), `knowledge` K_hat and `features` f of the encoder, [B, h, w, C] each
            with h = ceil(H/16)*4.
        """
        w = widths(self.width)
        _, height, width, _ = image.shape
        padded = pad_to_multiple(image, 16)
        encoded = Encoder(w, dtype=self.dtype, name="encoder")(padded)
        skips, knowledge = hallucinate(
            w, self.hypercolumn, padded, encoded, hallucination=self.hallucination, dtype=self.dtype
        )
        restored = Decoder(w, dtype=self.dtype, name="decoder")(knowledge, skips.half, skips.full, padded)
        return {
            "restored": restored[:, :height, :width],
            "knowledge": knowledge,
            "features": encoded.quarter,
        }
