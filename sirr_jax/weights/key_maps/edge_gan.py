"""EdgeGAN: key maps in a torch layout of our own (none was published) and the layers of the published Keras files.

Keras names layers by counters that run through a whole process, so the names depend on what was built before. The
relative index of a layer does not: its number minus the smallest number of its class in the network. The files list
layers by their depth in the graph, which for the attention net is not the order of creation. EdgeGAN specification,
section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from sirr_jax.models.width import read_width
from sirr_jax.weights.key_maps.base import Shapes
from sirr_jax.weights.key_maps.mirror import mirror

KerasClass = Literal["conv2d", "conv2d_transpose", "batch_normalization", "dense"]

# Arrays of a layer of each class, in the stored order: name -> collection and name in the module's variables.
_CONVOLUTION = {"kernel": ("params", "kernel"), "bias": ("params", "bias")}
LAYER_ARRAYS: dict[KerasClass, dict[str, tuple[str, str]]] = {
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
    """Layer with weights.

    Attributes:
        name: name in the specification, for example `step2.gate_f`.
        class_name: Keras class, as in the Keras name.
        relative_index: number in the Keras name minus the smallest number of its class in the network.
        path: path of its module in the network, for example `step2/gate_f`.
    """

    name: str
    class_name: KerasClass
    relative_index: int
    path: str

    def variable(self, array: str) -> tuple[str, ...]:
        """Returns the path of one of the layer's arrays in the variables."""
        collection, leaf = LAYER_ARRAYS[self.class_name][array]
        return (collection, *self.path.split("/"), leaf)


class KerasNetwork(NamedTuple):
    """Layers of a network as its Keras file stores them.

    Attributes:
        layers: layers with weights, in the saved order.
        first: number of the first layer of each class where one process built all four networks in order.
    """

    layers: tuple[KerasLayer, ...]
    first: Mapping[str, int]

    def fresh_name(self, layer: KerasLayer) -> str:
        """Returns a layer's Keras name where one process built all four networks: `conv2d`, `conv2d_1`, ..."""
        number = self.first.get(layer.class_name, 0) + layer.relative_index
        return f"{layer.class_name}_{number}" if number else layer.class_name


def _edge_net() -> KerasNetwork:
    paths = {"stem.conv1": "stem1", "stem.conv2": "stem2", "stem.conv3_s2": "stem3"}
    paths |= {f"res{b}.conv{i}": f"res{b}/conv{i}" for b in range(1, 14) for i in (1, 2)}
    paths |= {"up.deconv": "up", "tail.conv": "tail"}
    layers, convolutions = [], 0
    for norms, (name, path) in enumerate(paths.items()):
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
    # The gates f, i, g and o of a step are stored where the next step's trunk has the same depth in the graph. The
    # masks of steps 2 and 3 are not connected to the output: they used up names, but belong to no model.
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
    """Makes a network of consecutive layers, whose names imply their classes."""
    layers: list[KerasLayer] = []
    for name in names.split():
        class_name: KerasClass = "dense" if name.startswith("fc") else "conv2d"
        if name.startswith("deconv"):
            class_name = "conv2d_transpose"
        index = sum(layer.class_name == class_name for layer in layers)
        layers.append(KerasLayer(name, class_name, index, name))
    return KerasNetwork(tuple(layers), first)


KERAS_NETWORKS: dict[str, KerasNetwork] = {
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
    """Infers the width at which a layer published with `published` channels has `channels`."""
    width = read_width(channels, published)
    if width is None:
        return None
    return {} if width == "base" else {"width": width}


def _infer_edge_net_args(shapes: Shapes) -> dict[str, Any] | None:
    fits = shapes["stem1.weight"][1:] == (1, 3, 3) and "res13.conv2_norm.running_var" in shapes
    return _width(shapes["stem1.weight"][0], 64) if fits else None


def _infer_attention_net_args(shapes: Shapes) -> dict[str, Any] | None:
    if "step.lstm.g.weight" in shapes:
        stem, variant = shapes["step.stem.weight"], {"variant": "corrected"}
    else:
        stem, variant = shapes["step1.stem.weight"], {}
    fits = stem[1:] == (5 if variant else 4, 3, 3) and (variant or "step4.gate_g.weight" in shapes)
    width = _width(stem[0], 32) if fits else None
    return None if width is None else width | variant


def _infer_generator_args(shapes: Shapes) -> dict[str, Any] | None:
    fits = shapes["conv1.weight"][1:] == (5, 5, 5) and "dil4_r16.weight" in shapes
    return _width(shapes["conv1.weight"][0], 64) if fits else None


def _infer_discriminator_args(shapes: Shapes) -> dict[str, Any] | None:
    fits = shapes["conv1.weight"][1:] == (3, 5, 5) and "conv9_s4.weight" in shapes and "mask.weight" in shapes
    # The first layers are as narrow at width "tiny" as at "small".
    width = _width(shapes["fc1.weight"][0], 128) if fits else None
    if width is None:
        return None
    return width | ({"head": "gap"} if shapes["fc1.weight"][1] == 1 else {})


def _is_transposed(path: tuple[str, ...]) -> bool:
    return path[1] in ("up", "deconv1", "deconv2")


EDGE_NET = mirror("edge_gan/edge_net", _infer_edge_net_args, is_transposed=_is_transposed)
ATTENTION_NET = mirror("edge_gan/attention_net", _infer_attention_net_args, undetectable=("aux_scale",))
GENERATOR = mirror(
    "edge_gan/generator", _infer_generator_args, is_transposed=_is_transposed, undetectable=("aux_scale",)
)
DISCRIMINATOR = mirror("edge_gan/discriminator", _infer_discriminator_args)
