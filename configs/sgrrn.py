"""Train SGRRN, which removes reflections by the help of object classes.

    sirr train --config=configs/sgrrn.py:tiny --workdir=runs/semantics --cpu_devices=2

A config is chosen by what follows the colon; any value can be overridden, for example
`--config.backbone=resnet50 --config.batch_size=4`.

* `tiny`: a quarter of the published width, resnet50 from scratch, 64 px, procedural scenes of seven classes, the screen
  blend; 800 + 2,400 steps, 25 minutes on two busy CPU cores. With 232 photographs to make scenes of
  (`--config.data.photos`) and 24 held out (`--config.data.validation`): input 16.19 dB, restored 19.38 dB (the best
  constant: 18.63 dB), reflection 19.89 dB, mIoU 0.471. SSIM falls from 0.781 to 0.751: a decoder that must first learn
  to copy the image is still soft.
* `base`: the published network, the terms that its configuration means, 256 px. Give it
  `--config.data.labelled=/VOCdevkit/VOC2012 --config.data.classes=21 --config.data.validation=...` (a set or part),
  `--config.backbone_weights=resnet101-5d3b4d8f.pth` and `--config.perceptual_weights=...`;
  without a labelled set it takes procedural scenes.
* `released`: what the released code really trains: cross-entropy and the L1 of both layers, void pixels as background,
  PyTorch's initial values, the parameters that it forgets left as drawn, no first stage, 350 px, batches of 5 (on one
  device or five). `--config.adversarial=True` adds the discriminators, summed over the batch.

`base` and `released` have not been run at full length yet.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied

_BACKBONE_NORMS = ("encoder/backbone/.*norm", 0.0)


def get_config(variant: str = "base") -> ConfigDict:
    """Make the config of a variant: "tiny", "base" or "released"."""
    config = training_config("sgrrn")  # what all recipes have
    config.profile = "intended"  # or released: the terms that its code really trains, initial values, void labels
    config.init_from = ""  # a model file to go on from: of a training run, or converted
    config.backbone = "resnet101"  # or resnet50
    config.backbone_weights = ""  # torchvision's resnet101-5d3b4d8f.pth or resnet50-19c8e357.pth
    # Leave parts out: Basic, Basic+Channel, Basic+Channel+Pyramid; +Semantic in place of +Guidance, labels alone.
    config.decoder_mode = "Basic+Channel+Pyramid+Guidance"
    config.momentum = 0.0003  # weight of a batch in the running statistics of encoder and semantic branch
    config.adversarial = False  # with discriminators; the authors' checkpoint is called "wo_adv"
    config.exclusion = 0.0  # weight of the exclusion loss
    config.clean_share = 0.5  # of the photographs in the first stage: without their reflection

    config.data.labelled = "scenes"  # procedural ones, or a labelled set, for example /VOCdevkit/VOC2012
    config.data.classes = 0  # of the labelled set; scenes know theirs
    config.data.scenes = ConfigDict()
    config.data.scenes.count = 2000
    config.data.scenes.size = 256
    config.data.scenes.seed = 0
    config.data.scenes.hint = 0.0  # share of the shapes that have the typical color of their kind
    config.data.flip = True  # mirror half of the samples
    config.data.synthesis = ConfigDict()
    config.data.synthesis.name = "zhang"  # see `sirr synthesize list`
    config.data.synthesis.options = ConfigDict()

    config.steps = ConfigDict()
    config.steps.semantic = 50_000
    config.steps.joint = 250_000

    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.learning_rate = 2e-3
    config.optimizer.final_learning_rate = 0.0
    config.optimizer.schedule = "step"
    config.optimizer.step_size = 100_000
    config.optimizer.gamma = 0.5
    config.optimizer.clip = 0.0
    config.optimizer.networks.generator = ConfigDict()
    # The backbone learns slower, and its normalization keeps ImageNet's scales and shifts.
    config.optimizer.networks.generator.lr_mults = (_BACKBONE_NORMS, ("encoder/backbone", 0.1))
    for layer in ("background", "reflection"):
        config.optimizer.networks[f"discriminator_{layer}"] = ConfigDict(
            {"name": "adam", "learning_rate": 1e-4, "b1": 0.9, "b2": 0.999, "l2": 1e-4}
        )
    config.protocol = "rgb"
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
    # What the release forgets to train stays as it was drawn.
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
    config.momentum = 0.05  # nothing has been learned before, and the run is short
    config.data.crop = 64
    config.data.max_scale = 1.0
    config.data.scenes.size = 64
    config.data.scenes.hint = 0.8  # from outlines alone, labels take longer to learn
    config.data.loader = "threads"
    # The screen blend alone: what a small network can learn in minutes.
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
    config.optimizer.networks.generator.lr_mults = ()  # there are no ImageNet weights to keep
    config.ema_decay = 0.99
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 200
    config.log_images_every = 800
    config.checkpoint_every = 200


_VARIANTS = {"tiny": _tiny, "base": _base, "released": _released}
