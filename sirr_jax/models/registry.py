"""Registry of network ids and their modules."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, NamedTuple

from flax import linen as nn

from sirr_jax.errors import UserError, did_you_mean


class NetworkInfo(NamedTuple):
    """Facts about a network that are known without building it.

    Attributes:
        home: `module:Class` below `sirr_jax.models`.
        year: year of publication.
        verified: reference with which its forward pass was compared.
    """

    home: str
    year: int
    verified: str


REGISTRY = {
    "ade20k_ppm": NetworkInfo("ade20k_ppm:PyramidParser", 2017, "a PyTorch twin with the published keys"),
    "attentive_gan/discriminator": NetworkInfo(
        "attentive_gan:Discriminator", 2018, "reference outputs of the original; PyTorch twin"
    ),
    "attentive_gan/generator": NetworkInfo(
        "attentive_gan:Generator", 2018, "reference outputs of the original; PyTorch twin"
    ),
    "bdn/generator": NetworkInfo("bdn:Generator", 2018, "reference outputs of the original; PyTorch twin"),
    "bisenet": NetworkInfo("bisenet:BiSeNet", 2018, "a PyTorch twin with the published keys"),
    "corrn/generator": NetworkInfo("corrn:Generator", 2019, "reference outputs of the original"),
    "deeplabv2": NetworkInfo("deeplabv2:DeepLabV2", 2017, "a PyTorch twin with the published keys"),
    "dynamics/discriminator": NetworkInfo("patchgan:PatchDiscriminator", 2021, "NumPy transcription"),
    "dynamics/student": NetworkInfo("dynamics.student:Student", 2021, "NumPy transcription (our reconstruction)"),
    "dynamics/teacher": NetworkInfo("dynamics.teacher:Teacher", 2021, "NumPy transcription (our reconstruction)"),
    "edge_gan/attention_net": NetworkInfo("edge_gan:AttentionNet", 2019, "reference outputs of the original"),
    "edge_gan/discriminator": NetworkInfo("edge_gan:Discriminator", 2019, "reference outputs of the original"),
    "edge_gan/edge_net": NetworkInfo("edge_gan:EdgeNet", 2019, "reference outputs of the original"),
    "edge_gan/generator": NetworkInfo("edge_gan:Generator", 2019, "reference outputs of the original"),
    "errnet/discriminator": NetworkInfo("errnet:Discriminator", 2019, "PyTorch twin"),
    "errnet/generator": NetworkInfo("errnet:Generator", 2019, "reference outputs of the original; PyTorch twin"),
    "espnetv2": NetworkInfo("espnetv2:EspNetV2", 2019, "published weights and their PyTorch outputs"),
    "ibcln/cascade": NetworkInfo("ibcln:Cascade", 2020, "reference outputs of the original; PyTorch twin"),
    "ibcln/discriminator": NetworkInfo("ibcln:Discriminator", 2020, "PyTorch twin"),
    "resnet101": NetworkInfo("resnet:ResNet101", 2016, "PyTorch twin; inside sgrrn"),
    "resnet50": NetworkInfo("resnet:ResNet50", 2016, "PyTorch twin; inside sgrrn"),
    "rmnet/generator": NetworkInfo("rmnet:Generator", 2019, "reference outputs of the original; PyTorch twin"),
    "rmnet/synnet": NetworkInfo("rmnet:SynNet", 2019, "PyTorch twin"),
    "rmnet/synnet_discriminator": NetworkInfo("rmnet:SynNetDiscriminator", 2019, "PyTorch twin"),
    "segmenter": NetworkInfo("segmenter:Segmenter", 2026, "NumPy transcription (our own)"),
    "sgrrn/discriminator": NetworkInfo("sgrrn:Discriminator", 2019, "reference outputs of the original"),
    "sgrrn/generator": NetworkInfo("sgrrn:Generator", 2019, "reference outputs of the original"),
    "srnet/image_discriminator": NetworkInfo("srnet:ImageDiscriminator", 2019, "PyTorch twin (our reconstruction)"),
    "srnet/map_discriminator": NetworkInfo("srnet:MapDiscriminator", 2019, "PyTorch twin (our reconstruction)"),
    "srnet/refiner": NetworkInfo("srnet:LabelRefiner", 2019, "PyTorch twin (our reconstruction)"),
    "srnet/restorer": NetworkInfo("srnet:LabelGuidedRestorer", 2019, "PyTorch twin (our reconstruction)"),
    "vgg16": NetworkInfo("vgg:Vgg16", 2014, "PyTorch twin"),
    "vgg19": NetworkInfo("vgg:Vgg19", 2014, "published weights (blocks 1 to 3) and their PyTorch outputs"),
}


def list_networks() -> tuple[str, ...]:
    """Returns the ids of all networks, sorted."""
    return tuple(sorted(REGISTRY))


def build(network_id: str, **model_args: Any) -> nn.Module:
    """Builds the Flax module of a network.

    Args:
        network_id: id of the network, one of `list_networks()`.
        **model_args: arguments of the module, for example `width="small"`.

    Returns:
        A `flax.linen.Module`; `module.apply(variables, *inputs, train=False)` returns a dict of arrays.

    Raises:
        UserError: The id is unknown, or a model argument is unknown or has an invalid value.
    """
    if network_id not in REGISTRY:
        hint = did_you_mean(network_id, REGISTRY, f"known ids: {', '.join(list_networks())}")
        raise UserError(f"no network is called {network_id!r}; {hint}")
    module_name, class_name = REGISTRY[network_id].home.split(":")
    network = getattr(importlib.import_module(f"sirr_jax.models.{module_name}"), class_name)
    known = [name for name in inspect.signature(network).parameters if name not in ("parent", "name")]
    for name in model_args:
        if name not in known:
            raise UserError(f"{network_id} has no argument {name!r}; it takes {', '.join(known)}")
    # Files contain lists, but attributes of a module must be hashable.
    return network(**{name: tuple(value) if isinstance(value, list) else value for name, value in model_args.items()})
