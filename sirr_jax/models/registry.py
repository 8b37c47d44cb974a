"""Network ids and the modules they stand for."""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import Any, NamedTuple

from flax import linen as nn

from sirr_jax.errors import UserError


class Entry(NamedTuple):
    """What the house knows of a network without building it.

    Attributes:
        home: `module:Class` below `sirr_jax.models`.
        year: of its publication.
        verified: what its forward pass has been compared with.
    """

    home: str
    year: int
    verified: str


REGISTRY = {
    "ade20k_ppm": Entry("ade20k_ppm:PyramidParser", 2017, "a PyTorch twin with the published keys"),
    "attentive_gan/discriminator": Entry(
        "attentive_gan:Discriminator", 2018, "reference outputs of the original; PyTorch twin"
    ),
    "attentive_gan/generator": Entry(
        "attentive_gan:Generator", 2018, "reference outputs of the original; PyTorch twin"
    ),
    "bdn/generator": Entry("bdn:Generator", 2018, "reference outputs of the original; PyTorch twin"),
    "bisenet": Entry("bisenet:BiSeNet", 2018, "a PyTorch twin with the published keys"),
    "corrn/generator": Entry("corrn:Generator", 2019, "reference outputs of the original"),
    "deeplabv2": Entry("deeplabv2:DeepLabV2", 2017, "a PyTorch twin with the published keys"),
    "dynamics/discriminator": Entry("patchgan:PatchDiscriminator", 2021, "NumPy transcription"),
    "dynamics/student": Entry("dynamics.student:Student", 2021, "NumPy transcription (our reconstruction)"),
    "dynamics/teacher": Entry("dynamics.teacher:Teacher", 2021, "NumPy transcription (our reconstruction)"),
    "edge_gan/attention_net": Entry("edge_gan:AttentionNet", 2019, "reference outputs of the original"),
    "edge_gan/discriminator": Entry("edge_gan:Discriminator", 2019, "reference outputs of the original"),
    "edge_gan/edge_net": Entry("edge_gan:EdgeNet", 2019, "reference outputs of the original"),
    "edge_gan/generator": Entry("edge_gan:Generator", 2019, "reference outputs of the original"),
    "errnet/discriminator": Entry("errnet:Discriminator", 2019, "PyTorch twin"),
    "errnet/generator": Entry("errnet:Generator", 2019, "reference outputs of the original; PyTorch twin"),
    "espnetv2": Entry("espnetv2:EspNetV2", 2019, "published weights and their PyTorch outputs"),
    "ibcln/cascade": Entry("ibcln:Cascade", 2020, "reference outputs of the original; PyTorch twin"),
    "ibcln/discriminator": Entry("ibcln:Discriminator", 2020, "PyTorch twin"),
    "resnet101": Entry("resnet:ResNet101", 2016, "PyTorch twin; inside sgrrn"),
    "resnet50": Entry("resnet:ResNet50", 2016, "PyTorch twin; inside sgrrn"),
    "rmnet/generator": Entry("rmnet:Generator", 2019, "reference outputs of the original; PyTorch twin"),
    "rmnet/synnet": Entry("rmnet:SynNet", 2019, "PyTorch twin"),
    "rmnet/synnet_discriminator": Entry("rmnet:SynNetDiscriminator", 2019, "PyTorch twin"),
    "segmenter": Entry("segmenter:Segmenter", 2026, "NumPy transcription (our own)"),
    "sgrrn/discriminator": Entry("sgrrn:Discriminator", 2019, "reference outputs of the original"),
    "sgrrn/generator": Entry("sgrrn:Generator", 2019, "reference outputs of the original"),
    "srnet/image_discriminator": Entry("srnet:ImageDiscriminator", 2019, "PyTorch twin (our reconstruction)"),
    "srnet/map_discriminator": Entry("srnet:MapDiscriminator", 2019, "PyTorch twin (our reconstruction)"),
    "srnet/refiner": Entry("srnet:Refiner", 2019, "PyTorch twin (our reconstruction)"),
    "srnet/restorer": Entry("srnet:Restorer", 2019, "PyTorch twin (our reconstruction)"),
    "vgg16": Entry("vgg:Vgg16", 2014, "PyTorch twin"),
    "vgg19": Entry("vgg:Vgg19", 2014, "published weights (blocks 1 to 3) and their PyTorch outputs"),
}


def list_networks() -> tuple[str, ...]:
    """The ids that `build` knows, sorted."""
    return tuple(sorted(REGISTRY))


def build(network_id: str, **hyper: Any) -> nn.Module:
    """Make the Flax module of a network.

    Args:
        network_id: one of `list_networks()`.
        **hyper: the module's hyper-parameters, for example `width="small"`.

    Returns:
        A `flax.linen.Module`; `module.apply(variables, *inputs, train=False)` returns a dict of arrays.

    Raises:
        UserError: if the id or a hyper-parameter is unknown, or a hyper-parameter has no such value.
    """
    if network_id not in REGISTRY:
        close = difflib.get_close_matches(network_id, REGISTRY, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known ids: {', '.join(list_networks())}"
        raise UserError(f"no network is called {network_id!r}; {hint}")
    module_name, class_name = REGISTRY[network_id].home.split(":")
    network = getattr(importlib.import_module(f"sirr_jax.models.{module_name}"), class_name)
    known = [name for name in inspect.signature(network).parameters if name not in ("parent", "name")]
    for name in hyper:
        if name not in known:
            raise UserError(f"{network_id} has no hyper-parameter {name!r}; it takes {', '.join(known)}")
    # Lists come from files; a module must be hashable.
    return network(**{name: tuple(value) if isinstance(value, list) else value for name, value in hyper.items()})
