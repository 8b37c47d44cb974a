"""SR-Net, as this project reconstructs it: restoration of degraded photographs under the guidance of their labels.

    sirr train --config=srnet:tiny --workdir=runs/srnet --cpu_devices=2

* `tiny`: narrow networks, 64 px, procedural scenes, a segmenter of our own that is trained first, three kinds of
  degradation; 5,000 steps, 20 minutes on two busy CPU cores. With scenes of 232 photographs (`--config.data.photos`)
  and 24 held out (`--config.data.validation`): degraded 20.65 dB, restored 22.86 dB; mIoU 0.530 degraded, 0.535
  restored, 0.557 clean. The refined label map (0.529) is no better than the segmenter's.
* `base`: the reconstruction as specified: 256 px, batches of 8, 100k + 200k + 50k steps, after 20k of the segmenter.
  For a labelled set with a published segmenter: `--config.data.labelled=/CelebAMask-HQ --config.data.classes=19
  --config.data.validation=/held_out_faces --config.data.faces=True --config.segmenter.weights=bisenet.safetensors`.
  Not yet run at full length.
* `palette`: `base` with label maps as colors, which the authors' figures suggest. Not yet run at full length.

The authors published neither code nor weights nor losses: the SR-Net specification lists what is known.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.losses.srnet import WEIGHTS
from sirr_jax.training.base_config import training_config, varied


def get_config(variant: str = "base") -> ConfigDict:
    """Makes the config of a variant: "tiny", "base" or "palette"."""
    config = training_config("srnet")
    config.mode = "logits"  # encoding of label maps: logits (one channel per class) or palette (colors)
    config.initial = "normal"  # initial kernels of SR-Net's networks: normal (N(0, 0.02)) or he
    config.init_from = ""  # model file with initial weights; empty for none

    config.segmenter = ConfigDict()
    config.segmenter.weights = ""  # model file of a segmenter; empty for our own, which the first stage trains
    config.segmenter.width = "base"  # width of our own segmenter
    config.refiner = ConfigDict()
    config.refiner.spectral_norm = False  # whether the refiner has spectral normalization
    config.refiner.correction = False  # whether the refiner's output is added to the segmentation
    config.restorer = ConfigDict()
    config.restorer.synthesis = "transposed"  # decoder of the restorer: transposed (convolutions) or spade
    # False is the specification, with which the restorer cannot reproduce a photograph's colors.
    config.restorer.correction = True  # whether the restorer's output is added to the photograph

    config.data.labelled = "scenes"  # "scenes" (procedural) or a labelled set
    config.data.classes = 0  # number of classes of the labelled set; 0 for that of the scenes
    config.data.faces = False  # whether labels are CelebAMask-HQ's, of which mirroring swaps left and right
    config.data.scenes = ConfigDict()
    config.data.scenes.count = 2_000  # number of procedural scenes
    config.data.scenes.size = 320  # side of the scenes in pixels
    config.data.scenes.seed = 0  # random seed of the scenes
    config.data.scenes.hint = 0.0  # fraction of the shapes with the typical color of their class
    config.data.degradations = ConfigDict()
    config.data.degradations.kinds = "mixed"  # mixed (all), regular, or names separated by commas
    config.data.degradations.levels = (1, 2, 3, 4)  # levels of strength
    config.data.degradations.resave_jpeg = False  # whether to save degraded photographs as JPEG, as the authors do
    config.data.max_scale = 1.25  # largest reduction of a picture before it is cropped
    config.data.flip = True  # whether to mirror half of the samples

    config.steps = ConfigDict()
    config.steps.segmenter = 20_000  # steps of our own segmenter
    config.steps.refine = 100_000  # steps of the refiner
    config.steps.restore = 200_000  # steps of the restorer, under the true labels
    config.steps.joint = 50_000  # steps of refiner and restorer together
    config.joint_rate = 0.1  # factor on all learning rates in the last stage

    config.weights = ConfigDict(WEIGHTS)  # weights of the loss terms, by network
    config.optimizer.learning_rate = 1e-4
    config.optimizer.final_learning_rate = 1e-4
    config.optimizer.schedule = "constant"
    config.optimizer.b1 = 0.0
    config.optimizer.b2 = 0.9
    config.optimizer.clip = 0.0
    config.optimizer.networks.map_discriminator = ConfigDict({"learning_rate": 1e-5})
    config.optimizer.networks.image_discriminator = ConfigDict({"learning_rate": 1e-5})
    config.optimizer.networks.segmenter = ConfigDict(
        {"learning_rate": 1e-3, "final_learning_rate": 1e-5, "schedule": "cosine", "b1": 0.9, "b2": 0.999, "clip": 1.0}
    )
    config.protocol = "rgb"  # metric protocol of the evaluation: rgb, or srnet for the authors' scripts
    config.eval_every = 5_000  # steps between two evaluations
    config.checkpoint_every = 5_000  # steps between two checkpoints
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
    # With corrections and the encoder's features beside the residual blocks, the networks need not learn to copy.
    config.initial = "he"
    config.refiner.correction = True
    config.restorer.synthesis = "spade"
    config.batch_size = 4
    config.steps.segmenter = 1_500
    config.steps.refine = 800
    config.steps.restore = 2_500
    config.steps.joint = 200
    # With the default weights and so few steps the discriminators dominate: cross-entropy rises.
    config.weights.refiner.adversarial = 0.1
    config.weights.refiner.feature_matching = 1.0
    config.weights.restorer.adversarial = 0.01
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 5e-4
    config.optimizer.final_learning_rate = 5e-5
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.clip = 1.0
    discriminator = {"learning_rate": 2e-4, "final_learning_rate": 2e-5}
    config.optimizer.networks.map_discriminator = ConfigDict(discriminator)
    config.optimizer.networks.image_discriminator = ConfigDict(discriminator)
    config.optimizer.networks.segmenter.learning_rate = 2e-3
    config.ema_decay = 0.99
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 500
    config.log_images_every = 1_500
    config.checkpoint_every = 500


_VARIANTS = {"tiny": _tiny, "base": _base, "palette": _palette}
