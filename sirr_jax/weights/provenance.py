"""Provenance of published weights: repository, license and file for each network."""

from __future__ import annotations

from typing import NamedTuple


class PretrainedInfo(NamedTuple):
    """Provenance of published weights.

    Attributes:
        repository: GitHub repository, owner/name; empty if there is none.
        license: license that the repository states for code and weights.
        weights: files with the weights and where they are linked.
    """

    repository: str
    license: str
    weights: str


# Keras distributes the weights of VGG's authors; torchvision trained its own.
CAFFE_VGG = PretrainedInfo(
    "fchollet/deep-learning-models", "CC BY 4.0", "`vgg19_weights_tf_dim_ordering_tf_kernels*.h5`"
)
SELF_TRAINED = PretrainedInfo("", "yours, if you trained it", "none published")

_PRETRAINED_BY_FAMILY = {
    "ade20k_ppm": PretrainedInfo(
        "CSAILVision/semantic-segmentation-pytorch", "BSD-3-Clause", "encoder and decoder `.pth`, linked in the README"
    ),
    "attentive_gan": PretrainedInfo("rui1996/DeRaindrop", "none stated", "`weights/gen.pkl` in the repository"),
    "bdn": PretrainedInfo(
        "yangj1e/bdn-refremv", "MIT", "`model/model.pth`, Google Drive 1zBCl2qI_fT3CwPZkVvZEv37bDIlhakF6"
    ),
    "bisenet": PretrainedInfo("zllrunning/face-parsing.PyTorch", "MIT", "`79999_iter.pth`, linked in the README"),
    "corrn": PretrainedInfo("wanrenjie/CoRRN", "none stated", "`*.pth.tar`, Baidu pan, linked in the README"),
    "deeplabv2": PretrainedInfo("kazuto1011/deeplab-pytorch", "MIT", "`.pth` per data set, linked in the README"),
    "edge_gan": PretrainedInfo(
        "Siboooo/ReflectionRemoval", "none stated", "none; the Keras script writes `edgeMap.h5`, `attentionMap.h5`, ..."
    ),
    "errnet": PretrainedInfo("Vandermode/ERRNet", "MIT", "`errnet_060_00463920.pt`, OneDrive, linked in the README"),
    "espnetv2": PretrainedInfo("sacmehta/EdgeNets", "MIT", "`espnetv2_s_*_pascal_*.pth` in the repository"),
    "ibcln": PretrainedInfo(
        "JHL-HUST/IBCLN",
        "BSD-2-Clause",
        "`final_net_G_T.pth`, `final_net_G_R.pth`, Google Drive 1Dnlb875jP-F3vcFHlolcPTXFn4RmnQNr",
    ),
    "resnet50": PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`resnet50-19c8e357.pth`, torchvision model zoo"),
    "resnet101": PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`resnet101-5d3b4d8f.pth`, torchvision model zoo"),
    "rmnet": PretrainedInfo(
        "csqiangwen/Single-Image-Reflection-Removal-Beyond-Linearity",
        "MIT",
        "three `130_net_G.pth`, Google Drive 1WbfcVGTu91yZP26o8DKCrdQhyXpHt6Fo",
    ),
    "sgrrn": PretrainedInfo("DreamtaleCore/SGRRN", "CC-BY-NC-4.0", "announced, never released"),
    "srnet": PretrainedInfo("xiaweihao/SR-Net", "MIT (badge)", "none published"),
    "vgg16": PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`vgg16-397923af.pth`, torchvision model zoo"),
    "vgg19": PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`vgg19-dcbb9e9d.pth`, torchvision model zoo"),
}


# Networks whose weights are published elsewhere than those of their family.
_WEIGHTS_BY_ID = {
    "attentive_gan/discriminator": "none published",
    "errnet/discriminator": "`netD` in the generator's file",
    "ibcln/discriminator": "none published",
    "rmnet/synnet": "none published",
    "rmnet/synnet_discriminator": "none published",
}


def pretrained_info(network_id: str) -> PretrainedInfo:
    """Returns the provenance of a network's published weights; `SELF_TRAINED` where nobody published any."""
    info = _PRETRAINED_BY_FAMILY.get(network_id.split("/")[0], SELF_TRAINED)
    return info._replace(weights=_WEIGHTS_BY_ID.get(network_id, info.weights))
