"""The multi-view teacher."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.padding import pad_to_multiple
from sirr_jax.models.dynamics.decoder import Decoder
from sirr_jax.models.dynamics.decouple_net import DecoupleNet, LayerHead
from sirr_jax.models.dynamics.encoder import Encoded, Encoder
from sirr_jax.models.dynamics.flow_net import FlowNet
from sirr_jax.models.dynamics.fusion_net import FusionNet, PlainFusion
from sirr_jax.models.dynamics.hallucination import hallucinate
from sirr_jax.models.dynamics.hypercolumn import check_convention
from sirr_jax.models.dynamics.widths import widths


class Teacher(nn.Module):
    """Three frames of a moving camera -> the transmission layer of the middle one (our reconstruction).

    Zheng et al. 2021 name the parts (Decouple, Flow and Fusion Net inside the Multi-view Knowledge Learning module);
    their layers, widths and activations are ours. Specification, section 2.

    Attributes:
        width: "base", "medium", "small", "compact" or "tiny".
        mkl: False leaves out the whole module: K_t is a 1x1 convolution of the middle frame's features.
        decouple_net: False gives one stream, Psi_T = Psi_R = f, and no layer estimates.
        flow_net: False takes all motions as zero.
        fusion_net: False replaces gates and motions by one 1x1 convolution.
        aligned_frames: True shows the Fusion Net the frames themselves too (`AlignedFrames`); not the specification's.
        grown: True adds K_t to what a student's Hallucination sees in the middle frame, from zero on: a teacher that
            begins as that student, with the parts under the same names. Not the specification's.
        hypercolumn: of a grown teacher, as the student's.
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
        widths(self.width)  # refuse an unknown one now, not when the network is first applied
        if self.hypercolumn:
            check_convention(self.hypercolumn)
            if not self.grown:
                raise UserError(f"hypercolumn={self.hypercolumn!r} is for a grown teacher alone; set grown=True")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for frames of about `size`."""
        height, width = (max(n, 16) for n in size)
        return ((1, 3, height, width, 3),)

    @nn.compact
    def __call__(self, frames: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Estimate the transmission layer.

        Args:
            frames: [B, 3, H, W, 3] RGB in [0, 1], order t-1, t, t+1; any size from 16 px a side (padded by
                reflection to multiples of 16 and cropped back).
            train: also return what only the losses need; initialize with `train=True`.

        Returns:
            `restored` [B, H, W, 3] (not clipped), `knowledge` K_t and `features` f_t [B, h, w, C] with
            h = ceil(H/16)*4. With `train=True`, as far as the switches leave them: `flow_t`, `flow_r` [B, 2, h, w, 2]
            (order t-1, t+1; quarter-resolution pixels, see `FlowNet`), the coarser estimates that they began as,
            `flow_t_half`, `flow_r_half`, `flow_t_quarter`, `flow_r_quarter` (in pixels of h/2 x w/2 and h/4 x w/4),
            `psi_t`, `psi_r` [B, 3, h, w, C] and `layers_t`, `layers_r` [B, 3, h, w, 3].
        """
        w, dtype = widths(self.width), self.dtype
        batch, _, height, width, _ = frames.shape
        padded = pad_to_multiple(frames.reshape(batch * 3, height, width, 3), 16)
        encoded = Encoder(w, dtype=dtype, name="encoder")(padded)

        def per_frame(x: jax.Array) -> jax.Array:
            return x.reshape(batch, 3, *x.shape[1:])

        features, frames = encoded.quarter, per_frame(padded)
        now = Encoded(*(per_frame(x)[:, 1] for x in encoded))
        skips, outputs = now, {}
        if self.mkl:
            psi = self._decouple(features, per_frame)
            flow = self._flows(psi)
            fusion = FusionNet if self.fusion_net else PlainFusion
            more = {"aligned_frames": True} if self.aligned_frames and self.fusion_net else {}
            finest = tuple(flows[-1] for flows in flow)
            knowledge = fusion(**more, dtype=dtype, name="fusion")(psi, finest, now.quarter, frames)
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
            knowledge = conv(w.quarter, kernel=1, dtype=dtype, name="knowledge")(now.quarter)
        if self.grown:
            skips, imagined = hallucinate(w, self.hypercolumn, frames[:, 1], now, dtype=dtype)
            knowledge = imagined + conv(w.quarter, kernel=1, zero=True, dtype=dtype, name="addition")(knowledge)
        restored = Decoder(w, dtype=dtype, name="decoder")(knowledge, skips.half, skips.full, frames[:, 1])
        return outputs | {
            "restored": restored[:, :height, :width],
            "knowledge": knowledge,
            "features": now.quarter,
        }

    def _decouple(self, features: jax.Array, per_frame) -> tuple[jax.Array, jax.Array]:  # noqa: ANN001
        if not self.decouple_net:
            return per_frame(features), per_frame(features)
        psi_t, psi_r = DecoupleNet(dtype=self.dtype, name="decouple")(features)
        return per_frame(psi_t), per_frame(psi_r)

    def _flows(self, psi: tuple[jax.Array, jax.Array]) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """The flows of both layers, from coarse to fine."""
        batch, _, height, width, _ = psi[0].shape
        if not self.flow_net:
            still = jnp.zeros((batch, 2, height, width, 2), jnp.float32)
            return (still,), (still,)
        estimate = FlowNet(dtype=self.dtype, name="flow")
        if not self.decouple_net:  # one stream: its flow serves both
            flow = estimate(psi[0])
            return flow, flow
        both = estimate(jnp.concatenate(psi))
        return tuple(x[:batch] for x in both), tuple(x[batch:] for x in both)
