"""Where the authors of each network publish its weights, and under which licence."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Of published weights.

    Attributes:
        repository: on GitHub.
        licence: that the repository states for code and weights.
        weights: how they are announced there.
    """

    repository: str
    licence: str
    weights: str


# Keras distributes the authors' own weights, torchvision trained its own.
CAFFE_VGG = Origin("fchollet/deep-learning-models", "CC BY 4.0", "`vgg19_weights_tf_dim_ordering_tf_kernels*.h5`")
OURS = Origin("", "yours, if you trained it", "none published")

_ORIGINS = {
    "ade20k_ppm": Origin(
        "CSAILVision/semantic-segmentation-pytorch", "BSD-3-Clause", "encoder and decoder `.pth`, linked in the README"
    ),
    "attentive_gan": Origin("rui1996/DeRaindrop", "none stated", "`weights/gen.pkl` in the repository"),
    "bdn": Origin("yangj1e/bdn-refremv", "MIT", "`model/model.pth`, Google Drive 1zBCl2qI_fT3CwPZkVvZEv37bDIlhakF6"),
    "bisenet": Origin("zllrunning/face-parsing.PyTorch", "MIT", "`79999_iter.pth`, linked in the README"),
    "corrn": Origin("wanrenjie/CoRRN", "none stated", "`*.pth.tar`, Baidu pan, linked in the README"),
    "deeplabv2": Origin("kazuto1011/deeplab-pytorch", "MIT", "`.pth` per data set, linked in the README"),
    "edge_gan": Origin(
        "Siboooo/ReflectionRemoval", "none stated", "none; the Keras script writes `edgeMap.h5`, `attentionMap.h5`, ..."
    ),
    "errnet": Origin("Vandermode/ERRNet", "MIT", "`errnet_060_00463920.pt`, OneDrive, linked in the README"),
    "espnetv2": Origin("sacmehta/EdgeNets", "MIT", "`espnetv2_s_*_pascal_*.pth` in the repository"),
    "ibcln": Origin(
        "JHL-HUST/IBCLN",
        "BSD-2-Clause",
        "`final_net_G_T.pth`, `final_net_G_R.pth`, Google Drive 1Dnlb875jP-F3vcFHlolcPTXFn4RmnQNr",
    ),
    "resnet50": Origin("pytorch/vision", "BSD-3-Clause", "`resnet50-19c8e357.pth`, torchvision model zoo"),
    "resnet101": Origin("pytorch/vision", "BSD-3-Clause", "`resnet101-5d3b4d8f.pth`, torchvision model zoo"),
    "rmnet": Origin(
        "csqiangwen/Single-Image-Reflection-Removal-Beyond-Linearity",
        "MIT",
        "three `130_net_G.pth`, Google Drive 1WbfcVGTu91yZP26o8DKCrdQhyXpHt6Fo",
    ),
    "sgrrn": Origin("DreamtaleCore/SGRRN", "CC-BY-NC-4.0", "announced, never released"),
    "srnet": Origin("xiaweihao/SR-Net", "MIT (badge)", "none published"),
    "vgg16": Origin("pytorch/vision", "BSD-3-Clause", "`vgg16-397923af.pth`, torchvision model zoo"),
    "vgg19": Origin("pytorch/vision", "BSD-3-Clause", "`vgg19-dcbb9e9d.pth`, torchvision model zoo"),
}


# Networks whose weights are not where the rest of their system's are.
_WEIGHTS = {
    "attentive_gan/discriminator": "none published",
    "errnet/discriminator": "`netD` in the generator's file",
    "ibcln/discriminator": "none published",
    "rmnet/synnet": "none published",
    "rmnet/synnet_discriminator": "none published",
}


def origin_of(network_id: str) -> Origin:
    """The origin of a network's published weights; `OURS` where nobody published any."""
    origin = _ORIGINS.get(network_id.split("/")[0], OURS)
    return origin._replace(weights=_WEIGHTS.get(network_id, origin.weights))
