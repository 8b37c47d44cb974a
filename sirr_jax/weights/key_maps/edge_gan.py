"""EdgeGAN: a torch layout of ours, as none was published, and the published Keras files' layers.

Keras names its layers by counters that run through a whole process, so a network's names depend on what was built
before it. What stays is a layer's relative index: its number minus the smallest one of its class in the network. The
files list layers by their depth in the graph, which for the attention net is not the order of their creation. EdgeGAN
specification, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from sirr_jax.models.width import scaled
from sirr_jax.weights.key_maps.base import Shapes
from sirr_jax.weights.key_maps.mirror import mirror

Kind = Literal["conv2d", "conv2d_transpose", "batch_normalization", "dense"]

# What a layer of each class stores, in this order, and where in its module's variables it goes.
_CONVOLUTION = {"kernel": ("params", "kernel"), "bias": ("params", "bias")}
PARTS: dict[Kind, dict[str, tuple[str, str]]] = {
    "conv2d": _CONVOLUTION,
    "conv2d_transpose": _CONVOLUTION,
    "dense": _CONVOLUTION,
    "batch_normalization": {
        "gamma": ("params", "scale"),
        "beta": ("params", "bias"),
        "moving_mean": ("batch_stats", "mean"),
        "moving_variance": ("batch_stats", "var"),
    },
}


class KerasLayer(NamedTuple):
    """A layer with weights.

    Attributes:
        name: the specification's, for example `step2.gate_f`.
        kind: its class, as in its Keras name.
        index: its relative index.
        path: its module in the network, for example `step2/gate_f`.
    """

    name: str
    kind: Kind
    index: int
    path: str

    def variable(self, part: str) -> tuple[str, ...]:
        """Where the array `part` of this layer is in the variables."""
        collection, leaf = PARTS[self.kind][part]
        return (collection, *self.path.split("/"), leaf)


class KerasNetwork(NamedTuple):
    """A network's layers.

    Attributes:
        layers: those with weights, in the saved order.
        first: per class the number of its first layer where one process built all four networks in their order.
    """

    layers: tuple[KerasLayer, ...]
    first: Mapping[str, int]

    def fresh_name(self, layer: KerasLayer) -> str:
        """A layer's Keras name where one process built all four networks: `conv2d`, `conv2d_1`, ..."""
        number = self.first.get(layer.kind, 0) + layer.index
        return f"{layer.kind}_{number}" if number else layer.kind


def _edge_net() -> KerasNetwork:
    named = {"stem.conv1": "stem1", "stem.conv2": "stem2", "stem.conv3_s2": "stem3"}
    named |= {f"res{b}.conv{i}": f"res{b}/conv{i}" for b in range(1, 14) for i in (1, 2)}
    named |= {"up.deconv": "up", "tail.conv": "tail"}
    layers, convolutions = [], 0
    for norms, (name, path) in enumerate(named.items()):
        if name == "up.deconv":
            layers.append(KerasLayer(name, "conv2d_transpose", 0, path))
        else:
            layers.append(KerasLayer(name, "conv2d", convolutions, path))
            convolutions += 1
        layers.append(KerasLayer(f"{name}.bn", "batch_normalization", norms, f"{path}_norm"))
    layers.append(KerasLayer("out", "conv2d", convolutions, "out"))
    return KerasNetwork(tuple(layers), {})


def _attention_net() -> KerasNetwork:
    trunk = ["stem", *(f"block{b}.conv{i}" for b in range(1, 6) for i in (1, 2))]
    created: list[str] = []
    for step in range(1, 5):
        gates = "igo" if step == 1 else "ifgo"
        created += [f"step{step}.{part}" for part in (*trunk, *(f"gate_{gate}" for gate in gates), "mask")]
    # The gates f, i, g and o of a step come where the next step's trunk is as deep in the graph as they are. The masks
    # of steps 2 and 3 led nowhere: they used up names, but belong to no model.
    saved = [name for name in created if name.startswith("step1.")] + [f"step2.{part}" for part in trunk]
    for step in (2, 3):
        following = [f"step{step + 1}.{part}" for part in trunk]
        first, last = [f"step{step}.gate_{gate}" for gate in "fig"], [f"step{step}.gate_o"]
        saved += [*following[:9], *first, *following[9:], *last]
    saved += [f"step4.{part}" for part in ("gate_f", "gate_i", "gate_g", "gate_o", "mask")]
    paths = {"step1.mask": "mask1", "step4.mask": "mask4"}
    layers = (KerasLayer(n, "conv2d", created.index(n), paths.get(n, n.replace(".", "/"))) for n in saved)
    return KerasNetwork(tuple(layers), {"conv2d": 31})


def _chain(names: str, first: Mapping[str, int]) -> KerasNetwork:
    """A network whose layers follow one another; names tell their classes."""
    layers: list[KerasLayer] = []
    for name in names.split():
        kind: Kind = "dense" if name.startswith("fc") else "conv2d"
        if name.startswith("deconv"):
            kind = "conv2d_transpose"
        layers.append(KerasLayer(name, kind, sum(layer.kind == kind for layer in layers), name))
    return KerasNetwork(tuple(layers), first)


KERAS: dict[str, KerasNetwork] = {
    "edge_gan/edge_net": _edge_net(),
    "edge_gan/attention_net": _attention_net(),
    "edge_gan/generator": _chain(
        "conv1 conv2_s2 conv3 conv4_s2 conv5 conv6 dil1_r2 dil2_r4 dil3_r8 dil4_r16 conv7 conv8 deconv1 conv9 deconv2 "
        "conv10 out",
        {"conv2d": 94, "conv2d_transpose": 1},
    ),
    "edge_gan/discriminator": _chain(
        "conv1 conv2 conv3 conv4 conv5 conv6 mask conv7_s4 conv8_s4 conv9_s4 fc1 fc2", {"conv2d": 109}
    ),
}


def _width(channels: int, published: int) -> dict[str, Any] | None:
    """The width at which a layer of `published` channels has `channels`."""
    if channels == published:
        return {}
    return {"width": "tiny"} if channels == scaled(published, "tiny") else None


def _read_edge_net(shapes: Shapes) -> dict[str, Any] | None:
    fits = shapes["stem1.weight"][1:] == (1, 3, 3) and "res13.conv2_norm.running_var" in shapes
    return _width(shapes["stem1.weight"][0], 64) if fits else None


def _read_attention_net(shapes: Shapes) -> dict[str, Any] | None:
    if "step.lstm.g.weight" in shapes:
        stem, variant = shapes["step.stem.weight"], {"variant": "corrected"}
    else:
        stem, variant = shapes["step1.stem.weight"], {}
    fits = stem[1:] == (5 if variant else 4, 3, 3) and (variant or "step4.gate_g.weight" in shapes)
    width = _width(stem[0], 32) if fits else None
    return None if width is None else width | variant


def _read_generator(shapes: Shapes) -> dict[str, Any] | None:
    fits = shapes["conv1.weight"][1:] == (5, 5, 5) and "dil4_r16.weight" in shapes
    return _width(shapes["conv1.weight"][0], 64) if fits else None


def _read_discriminator(shapes: Shapes) -> dict[str, Any] | None:
    fits = shapes["conv1.weight"][1:] == (3, 5, 5) and "conv9_s4.weight" in shapes and "mask.weight" in shapes
    width = _width(shapes["conv1.weight"][0], 8) if fits else None
    if width is None:
        return None
    return width | ({"head": "gap"} if shapes["fc1.weight"][1] == 1 else {})


def _transposed(path: tuple[str, ...]) -> bool:
    return path[1] in ("up", "deconv1", "deconv2")


EDGE_NET = mirror("edge_gan/edge_net", _read_edge_net, transposed=_transposed)
ATTENTION_NET = mirror("edge_gan/attention_net", _read_attention_net, undetectable=("aux_scale",))
GENERATOR = mirror("edge_gan/generator", _read_generator, transposed=_transposed, undetectable=("aux_scale",))
DISCRIMINATOR = mirror("edge_gan/discriminator", _read_discriminator)
