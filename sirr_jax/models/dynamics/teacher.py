"""Multi-view teacher."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.padding import pad_to_multiple
from sirr_jax.models.dynamics.decoder import Decoder
from sirr_jax.models.dynamics.decouple_net import DecoupleNet, LayerHead
from sirr_jax.models.dynamics.encoder import Encoder, EncoderFeatures
from sirr_jax.models.dynamics.flow_net import FlowNet
from sirr_jax.models.dynamics.fusion_net import FusionNet, PlainFusion
from sirr_jax.models.dynamics.hallucination import hallucinate
from sirr_jax.models.dynamics.hypercolumn import check_convention
from sirr_jax.models.dynamics.widths import widths
from sirr_jax.models.registry import register


@register("dynamics/teacher", year=2021, verified="NumPy transcription (our reconstruction)")
class Teacher(nn.Module):
    """Teacher, which estimates the transmission layer of the middle of three frames of a moving camera.

    Zheng et al. 2021 name the parts (Decouple, Flow and Fusion Net inside the Multi-view Knowledge Learning module);
    their layers, widths and activations are designs of this project. Specification, section 2.

    Attributes:
        width: "base", "medium", "small", "compact" or "tiny".
        mkl: whether to use the Multi-view Knowledge Learning module; without it K_t is a 1x1 convolution of the
            features of the middle frame.
        decouple_net: whether to use the Decouple Net; without it there is one stream, Psi_T = Psi_R = f, and no
            estimates of the layers.
        flow_net: whether to use the Flow Net; without it all motions are zero.
        fusion_net: whether to use the Fusion Net; without it one 1x1 convolution replaces gates and motions.
        aligned_frames: whether the frames themselves are an input of the Fusion Net (`AlignedFrames`); not in the
            specification.
        grown: whether to add K_t, with an initial weight of zero, to the knowledge that a student's Hallucination
            computes from the middle frame. Such a teacher is initially equal to that student; their common parts have
            the same names. Not in the specification.
        hypercolumn: convention of the VGG-19 weights of a grown teacher, see `Student`.
        dtype: computation type of the features; parameters, flows and all images stay float32.
    """

    width: str = "base"
    mkl: bool = True
    decouple_net: bool = True
    flow_net: bool = True
    fusion_net: bool = True
    aligned_frames: bool = False
    grown: bool = False
    hypercolumn: str = ""
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        widths(self.width)  # raises for an unknown width now, not when the network is first applied
        if self.hypercolumn:
            check_convention(self.hypercolumn)
            if not self.grown:
                raise UserError(f"hypercolumn={self.hypercolumn!r} needs a grown teacher; set grown=True")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for frames of about `size` (height, width)."""
        height, width = (max(n, 16) for n in size)
        return ((1, 3, height, width, 3),)

    @nn.compact
    def __call__(self, frames: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Estimates the transmission of the middle frame.

        Args:
            frames: frames t-1, t, t+1 [B, 3, H, W, 3], RGB in [0, 1]; any size from 16 px a side (padded by reflection
                to multiples of 16 and cropped back).
            train: whether to return outputs that only the losses need; initialize with `train=True`.

        Returns:
            `restored` [B, H, W, 3] (not clipped), `knowledge` K_t and `features` f_t, [B, h, w, C] each with
            h = ceil(H/16)*4. With `train=True`, unless switched off: `flow_t`, `flow_r` [B, 2, h, w, 2] (order t-1,
            t+1; quarter-resolution pixels, see `FlowNet`), their coarser estimates `flow_t_half`, `flow_r_half`,
            `flow_t_quarter`, `flow_r_quarter` (in pixels of h/2 x w/2 and h/4 x w/4), `psi_t`, `psi_r`
            [B, 3, h, w, C] and `layers_t`, `layers_r` [B, 3, h, w, 3].
        """
        w, dtype = widths(self.width), self.dtype
        batch, _, height, width, _ = frames.shape
        padded = pad_to_multiple(frames.reshape(batch * 3, height, width, 3), 16)
        encoded = Encoder(w, dtype=dtype, name="encoder")(padded)

        def per_frame(x: jax.Array) -> jax.Array:
            return x.reshape(batch, 3, *x.shape[1:])

        features, frames = encoded.quarter, per_frame(padded)
        middle = EncoderFeatures(*(per_frame(x)[:, 1] for x in encoded))
        skips = middle
        outputs: dict[str, jax.Array] = {}
        if self.mkl:
            psi = self._decouple(features, per_frame)
            flow = self._flows(psi)
            fusion: FusionNet | PlainFusion
            if self.fusion_net:
                fusion = FusionNet(aligned_frames=self.aligned_frames, dtype=dtype, name="fusion")
            else:
                fusion = PlainFusion(dtype=dtype, name="fusion")
            knowledge = fusion(psi, (flow[0][-1], flow[1][-1]), middle.quarter, frames)
            if train:
                if self.flow_net:
                    sizes = ("_quarter", "_half", "")
                    outputs = {
                        f"flow_{n}{s}": x
                        for n, xs in zip("tr", flow, strict=True)
                        for s, x in zip(sizes, xs, strict=True)
                    }
                if self.decouple_net:
                    heads = [LayerHead(dtype=dtype, name=f"head_{layer}") for layer in "tr"]
                    layers = [head(p.reshape(-1, *p.shape[2:])) for head, p in zip(heads, psi, strict=True)]
                    outputs |= {"psi_t": psi[0], "psi_r": psi[1]}
                    outputs |= {"layers_t": per_frame(layers[0]), "layers_r": per_frame(layers[1])}
        else:
            knowledge = conv(w.quarter, kernel=1, dtype=dtype, name="knowledge")(middle.quarter)
        if self.grown:
            skips, hallucinated = hallucinate(w, self.hypercolumn, frames[:, 1], middle, dtype=dtype)
            knowledge = hallucinated + conv(w.quarter, kernel=1, zero=True, dtype=dtype, name="addition")(knowledge)
        restored = Decoder(w, dtype=dtype, name="decoder")(knowledge, skips.half, skips.full, frames[:, 1])
        return outputs | {
            "restored": restored[:, :height, :width],
            "knowledge": knowledge,
            "features": middle.quarter,
        }

    def _decouple(
        self, features: jax.Array, per_frame: Callable[[jax.Array], jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        if not self.decouple_net:
            return per_frame(features), per_frame(features)
        psi_t, psi_r = DecoupleNet(dtype=self.dtype, name="decouple")(features)
        return per_frame(psi_t), per_frame(psi_r)

    def _flows(self, psi: tuple[jax.Array, jax.Array]) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """Estimates the flows of both layers, from coarse to fine."""
        batch, _, height, width, _ = psi[0].shape
        if not self.flow_net:
            still = jnp.zeros((batch, 2, height, width, 2), jnp.float32)
            return (still,), (still,)
        estimate = FlowNet(dtype=self.dtype, name="flow")
        if not self.decouple_net:  # one stream, whose flow is that of both layers
            flow = estimate(psi[0])
            return flow, flow
        both = estimate(jnp.concatenate(psi))
        return tuple(x[:batch] for x in both), tuple(x[batch:] for x in both)
