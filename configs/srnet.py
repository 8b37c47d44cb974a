"""Train SR-Net, as this project reconstructs it, to restore degraded photographs by way of their labels.

    sirr train --config=configs/srnet.py:tiny --workdir=runs/srnet --cpu_devices=2

A config is chosen by what follows the colon; any value can be overridden, for example
`--config.data.degradations.kinds=watermark --config.batch_size=4`.

* `tiny`: narrow networks, 64 px, procedural scenes, a segmenter of our own that is trained first, three kinds of
  degradation; 5,000 steps, 20 minutes on two busy CPU cores. With 232 photographs to make scenes of
  (`--config.data.photos`) and 24 held out (`--config.data.validation`): degraded 20.65 dB, restored 22.86 dB; mIoU
  0.530 degraded, 0.535 restored, 0.557 clean. The refined label map (0.529) is no better than the segmenter's.
* `base`: the reconstruction as specified: 256 px, batches of 8, 100k + 200k + 50k steps, after 20k of the segmenter.
  For a labelled set with a published segmenter: `--config.data.labelled=/CelebAMask-HQ --config.data.classes=19
  --config.data.validation=/held_out_faces --config.data.faces=True --config.segmenter.weights=bisenet.safetensors`.
* `palette`: the same, with label maps as colors, which the authors' figures suggest.

`base` and `palette` have not been run at full length yet. The authors published neither code nor weights nor losses:
see the SR-Net specification on what is known.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.losses.srnet import WEIGHTS
from sirr_jax.training.base_config import training_config, varied


def get_config(variant: str = "base") -> ConfigDict:
    """Make the config of a variant: "tiny", "base" or "palette"."""
    config = training_config("srnet")  # what all recipes have
    config.mode = "logits"  # label maps: one channel per class; or palette, colors
    config.initial = "normal"  # kernels of SR-Net's networks: N(0, 0.02); or he
    config.init_from = ""  # a model file to go on from

    config.segmenter = ConfigDict()
    config.segmenter.weights = ""  # a segmenter's model file; "" for one of our own, trained in the first stage
    config.segmenter.width = "base"  # of our own
    config.refiner = ConfigDict()
    config.refiner.spectral_norm = False
    config.refiner.correction = False  # True: its answer is added to the segmentation that it is shown
    config.restorer = ConfigDict()
    config.restorer.synthesis = "transposed"  # or spade
    # The restorer's answer is added to the photograph. False: as specified, which cannot keep a photograph's colors.
    config.restorer.correction = True

    config.data.labelled = "scenes"  # procedural ones, or a labelled set
    config.data.classes = 0  # of the labelled set; scenes know theirs
    config.data.faces = False  # labels are CelebAMask-HQ's: a mirrored left eye is a right one
    config.data.scenes = ConfigDict()
    config.data.scenes.count = 2_000
    config.data.scenes.size = 320
    config.data.scenes.seed = 0
    config.data.scenes.hint = 0.0  # share of the shapes that have the typical color of their kind
    config.data.degradations = ConfigDict()
    config.data.degradations.kinds = "mixed"  # all; or regular, or names with commas between them
    config.data.degradations.levels = (1, 2, 3, 4)
    config.data.degradations.resave_jpeg = False  # True: as the authors' generator
    config.data.max_scale = 1.25  # pictures are reduced by up to this factor before they are cropped
    config.data.flip = True  # mirror half of the samples

    config.steps = ConfigDict()
    config.steps.segmenter = 20_000
    config.steps.refine = 100_000
    config.steps.restore = 200_000
    config.steps.joint = 50_000
    config.joint_rate = 0.1  # factor on all learning rates in the last stage

    config.weights = ConfigDict(WEIGHTS)
    config.optimizer.learning_rate = 1e-4
    config.optimizer.final_learning_rate = 1e-4
    config.optimizer.schedule = "constant"
    config.optimizer.b1 = 0.0
    config.optimizer.b2 = 0.9
    config.optimizer.clip = 0.0
    for judge in ("map_discriminator", "image_discriminator"):
        config.optimizer.networks[judge] = ConfigDict({"learning_rate": 1e-5})
    config.optimizer.networks.segmenter = ConfigDict(
        {"learning_rate": 1e-3, "final_learning_rate": 1e-5, "schedule": "cosine", "b1": 0.9, "b2": 0.999, "clip": 1.0}
    )
    config.protocol = "rgb"  # or srnet: as the authors' scripts score pictures
    config.eval_every = config.checkpoint_every = 5_000
    return varied(config, variant, _VARIANTS)


def _base(config: ConfigDict) -> None:
    del config


def _palette(config: ConfigDict) -> None:
    config.mode = "palette"


def _tiny(config: ConfigDict) -> None:
    config.width = "small"
    config.data.crop = 64
    config.data.max_scale = 1.0
    config.data.scenes.size = 64
    config.data.scenes.hint = 0.8  # from outlines alone, labels take longer to learn
    config.data.degradations.kinds = "gaussian_noise,irregular_mask,watermark"
    config.data.loader = "threads"
    # What is to be copied need not be learned: corrections, and the encoder's features beside the residual blocks.
    config.initial = "he"
    config.refiner.correction = True
    config.restorer.synthesis = "spade"
    config.batch_size = 4
    config.steps.segmenter = 1_500
    config.steps.refine = 800
    config.steps.restore = 2_500
    config.steps.joint = 200
    # In so few steps the judges outweigh the target: under the weights above, cross-entropy rises.
    config.weights.refiner.adversarial = 0.1
    config.weights.refiner.feature_matching = 1.0
    config.weights.restorer.adversarial = 0.01
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 5e-4
    config.optimizer.final_learning_rate = 5e-5
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.clip = 1.0
    for judge in ("map_discriminator", "image_discriminator"):
        config.optimizer.networks[judge] = ConfigDict({"learning_rate": 2e-4, "final_learning_rate": 2e-5})
    config.optimizer.networks.segmenter.learning_rate = 2e-3
    config.ema_decay = 0.99
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 500
    config.log_images_every = 1_500
    config.checkpoint_every = 500


_VARIANTS = {"tiny": _tiny, "base": _base, "palette": _palette}
