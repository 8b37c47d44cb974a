"""SGRRN, which removes reflections with the help of object classes.

    sirr train --config=sgrrn:tiny --workdir=runs/semantics --cpu_devices=2

* `tiny`: a quarter of the published width, resnet50 from scratch, 64 px, procedural scenes of seven classes, the screen
  blend; 800 + 2,400 steps, 25 minutes on two busy CPU cores. With scenes of 232 photographs (`--config.data.photos`)
  and 24 held out (`--config.data.validation`): input 16.19 dB, restored 19.38 dB (the best constant: 18.63 dB),
  reflection 19.89 dB, mIoU 0.471. SSIM falls from 0.781 to 0.751: the decoder must first learn to copy the image and
  its output is still soft.
* `base`: the published network, the terms that its configuration means, 256 px. It takes
  `--config.data.labelled=/VOCdevkit/VOC2012 --config.data.classes=21 --config.data.validation=...` (a set or part),
  `--config.backbone_weights=resnet101-5d3b4d8f.pth` and `--config.perceptual_weights=...`; without a labelled set it
  uses procedural scenes. Not yet run at full length.
* `released`: what the released code really trains: cross-entropy and the L1 of both layers, void pixels as background,
  PyTorch's initial values, the parameters that it leaves out of the optimizer frozen, no first stage, 350 px, batches
  of 5 (on one device or five). `--config.adversarial=True` adds the discriminators, summed over the batch. Not yet run
  at full length.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied

_BACKBONE_NORMS = ("encoder/backbone/.*norm", 0.0)
_DISCRIMINATOR = {"name": "adam", "learning_rate": 1e-4, "b1": 0.9, "b2": 0.999, "l2": 1e-4}


def get_config(variant: str = "base") -> ConfigDict:
    """Makes the config of a variant: "tiny", "base" or "released"."""
    config = training_config("sgrrn")
    config.profile = "intended"  # losses, initial values and void labels: intended or released (what its code trains)
    config.init_from = ""  # model file with initial weights, of a training run or converted; empty for none
    config.backbone = "resnet101"  # backbone of the encoder: resnet101 or resnet50
    config.backbone_weights = ""  # torchvision's resnet101-5d3b4d8f.pth or resnet50-19c8e357.pth; empty for none
    # With +Semantic the labels are an output and guide nothing.
    config.decoder_mode = "Basic+Channel+Pyramid+Guidance"  # Basic[+Channel[+Pyramid[+Guidance or +Semantic]]]
    config.momentum = 0.0003  # weight of a batch in the running statistics of encoder and semantic branch
    config.adversarial = False  # whether to train with discriminators; the authors' checkpoint is named "wo_adv"
    config.exclusion = 0.0  # weight of the exclusion loss
    config.clean_share = 0.5  # fraction of images without a reflection in the first stage

    config.data.labelled = "scenes"  # "scenes" (procedural) or a labelled set, for example /VOCdevkit/VOC2012
    config.data.classes = 0  # number of classes of the labelled set; 0 for that of the scenes
    config.data.scenes = ConfigDict()
    config.data.scenes.count = 2000  # number of procedural scenes
    config.data.scenes.size = 256  # side of the scenes in pixels
    config.data.scenes.seed = 0  # random seed of the scenes
    config.data.scenes.hint = 0.0  # fraction of the shapes with the typical color of their class
    config.data.flip = True  # whether to mirror half of the samples
    config.data.synthesis = ConfigDict()
    config.data.synthesis.name = "zhang"  # name of the synthesis, see `sirr synthesize list`
    config.data.synthesis.options = ConfigDict()  # options of the synthesis, see `sirr synthesize list`

    config.steps = ConfigDict()
    config.steps.semantic = 50_000  # steps of encoder and semantic branch alone
    config.steps.joint = 250_000  # steps of the whole generator

    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9  # momentum of SGD
    config.optimizer.learning_rate = 2e-3
    config.optimizer.final_learning_rate = 0.0
    config.optimizer.schedule = "step"
    config.optimizer.step_size = 100_000  # steps between two reductions of the learning rate
    config.optimizer.gamma = 0.5  # factor of a reduction of the learning rate
    config.optimizer.clip = 0.0
    config.optimizer.networks.generator = ConfigDict()
    # The backbone learns more slowly, and its normalization keeps ImageNet's scales and shifts.
    lr_mults = (_BACKBONE_NORMS, ("encoder/backbone", 0.1))
    config.optimizer.networks.generator.lr_mults = lr_mults  # (pattern of parameters, factor on the learning rate)
    config.optimizer.networks.discriminator_background = ConfigDict(_DISCRIMINATOR)
    config.optimizer.networks.discriminator_reflection = ConfigDict(_DISCRIMINATOR)
    config.protocol = "rgb"  # metric protocol of the evaluation
    return varied(config, variant, _VARIANTS)


def _base(config: ConfigDict) -> None:
    del config


def _released(config: ConfigDict) -> None:
    config.profile = "released"
    config.batch_size = 5
    config.data.crop = 350
    config.data.scenes.size = 350
    config.steps.semantic = 0
    config.steps.joint = 291_500  # 500 epochs of PASCAL VOC's 2,913 labelled photographs
    # Parameters that the release leaves out of its optimizer stay frozen.
    config.optimizer.networks.generator.lr_mults = (
        _BACKBONE_NORMS,
        ("encoder/backbone", 0.1),
        ("semantic/.*norm", 0.0),
        ("separation/attention./(squeeze|excite)", 0.0),
    )
    config.ema_decay = 0.0


def _tiny(config: ConfigDict) -> None:
    config.width = "small"
    config.backbone = "resnet50"
    config.momentum = 0.05  # a short run from scratch
    config.data.crop = 64
    config.data.max_scale = 1.0
    config.data.scenes.size = 64
    config.data.scenes.hint = 0.8  # from outlines alone, labels take longer to learn
    config.data.loader = "threads"
    # The screen blend alone: a small network can learn it in minutes.
    config.data.synthesis.name = "dsrnet"
    config.data.synthesis.options.screen_probability = 1.0
    config.batch_size = 8
    config.steps.semantic = 800
    config.steps.joint = 2_400
    config.optimizer.name = "adam"
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.final_learning_rate = 2e-5
    config.optimizer.networks.generator.lr_mults = ()  # no ImageNet weights to keep
    config.ema_decay = 0.99
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 200
    config.log_images_every = 800
    config.checkpoint_every = 200


_VARIANTS = {"tiny": _tiny, "base": _base, "released": _released}
