"""AttentiveGAN, which removes raindrops.

    sirr train --config=attentive_gan:tiny --workdir=runs/drops --cpu_devices=2

* `tiny`: 0.39 M / 0.09 M parameters, 64 px, drops rendered over photographs; 25 minutes of processor time. With 117
  training photographs (`--config.data.photos`) and 24 held out (`--config.data.validation`): input 27.59 dB, restored
  29.32 dB in luminance; docs/experiments/recipes.md explains these numbers.
* `base`: the published networks, the paper's losses, 224 px, 100 + 300 epochs of the 861 training pairs in batches of
  8. Drops are rendered over photographs unless pairs are given: `--config.data.pairs=/DeRaindrop#train
  --config.data.pairs_share=1.0 --config.data.validation=/DeRaindrop#test_a`. Not yet run at full length.
* `released`: the authors' training code without its listed defects: its losses, raw BGR as VGG-16's input, RMSprop,
  batches of 2, no mirroring, PyTorch's old initial values, 280k adversarial steps. It needs the pairs above. Not yet
  run at full length.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied

_PAIRS = 861  # pairs of DeRaindrop's training set


def get_config(variant: str = "base") -> ConfigDict:
    """Makes the config of a variant: "tiny", "base" or "released"."""
    config = training_config("attentive_gan")
    config.preset = "paper"  # weights of the losses, input of VGG-16 and initial values: paper or released
    config.init_from = ""  # model file with initial weights, for example the authors' converted gen.pkl; empty for none

    config.data.crop = 224  # side of the crops in pixels; the published discriminator needs 224, others use a mean
    config.data.flip = True  # whether to mirror half of the scenes
    config.data.raindrops = ConfigDict()  # fields of RaindropOptions; lengths in units of the image's side
    config.data.raindrops.count = (8, 48)  # smallest and largest number of drops
    config.data.raindrops.radius = (0.015, 0.1)  # smallest and largest radius of a drop, log-uniform
    config.data.raindrops.defocus = (0.008, 0.06)  # smallest and largest radius of the defocus of an image
    config.data.raindrops.mask_threshold = 30.0  # smallest difference that the mask counts, 0 to 255
    config.data.mask = ConfigDict()  # arguments of difference_mask, for real pairs
    config.data.mask.threshold = 30.0  # smallest difference of a pair that its mask counts, 0 to 255
    config.data.mask.reduce = "max"  # reduction of the color channels: max, sum or mean_abs_diff_of_means
    config.data.mask.dilate = True  # whether to dilate the mask of a pair

    config.steps = ConfigDict()
    config.steps.generator = 100 * _PAIRS // 8  # steps of the generator alone
    config.steps.discriminator = 1_000  # steps of the discriminator, with a frozen generator
    config.steps.adversarial = 300 * _PAIRS // 8  # steps of both networks in turn

    config.weights = ConfigDict()
    config.weights.adversarial = 0.01  # weight of the adversarial loss
    config.weights.perceptual = 1.0  # weight of the perceptual loss, with a VGG-16 file
    config.weights.stand_in = 0.1  # weight of the 3-scale gradient loss that replaces it without a file; 0 for none
    config.saturating = False  # whether the generator minimizes log(1 - D), as in the paper
    config.map_target = "attention"  # target of the discriminator's map: attention (the generator's last map) or mask

    # The paper's ablations: A is without attention and discriminator, A+D without attention and discriminator_map,
    # A+AD without attention.
    config.ablate = ConfigDict()
    config.ablate.attention = False  # whether to leave out the generator's attention
    config.ablate.discriminator = False  # whether to leave out the discriminator
    config.ablate.discriminator_map = False  # whether to leave out the discriminator's attention map
    config.ablate.map_loss = False  # whether to leave out the loss of the discriminator's map

    config.optimizer.b1 = 0.5
    config.protocol = "y"  # metric protocol of the evaluation; y is the authors' metric
    return varied(config, variant, _VARIANTS)


def _base(config: ConfigDict) -> None:
    del config


def _released(config: ConfigDict) -> None:
    config.preset = "released"
    config.batch_size = 2
    config.data.pairs_share = 1.0
    config.data.max_scale = 1.0
    config.data.flip = False
    # 2, 2 and 400 epochs of 1,400 crops; 466 single samples in the second.
    config.steps.generator = 1_400
    config.steps.discriminator = 466
    config.steps.adversarial = 280_000
    config.optimizer.name = "rmsprop"
    config.optimizer.schedule = "constant"
    config.optimizer.learning_rate = 2e-5
    config.optimizer.final_learning_rate = 2e-5
    config.optimizer.clip = 0.0
    config.optimizer.networks.discriminator = ConfigDict({"learning_rate": 1e-5})
    config.ema_decay = 0.0
    config.weights.stand_in = 0.0


def _tiny(config: ConfigDict) -> None:
    config.width = "small"  # narrower networks have two features for three colors
    config.data.crop = 64
    config.data.loader = "threads"
    # Few drops of several pixels each: smaller ones cannot be distinguished from the background.
    config.data.raindrops.count = (5, 12)
    config.data.raindrops.radius = (0.06, 0.16)
    config.data.raindrops.defocus = (0.01, 0.03)
    config.batch_size = 4
    config.steps.generator = 3_000
    config.steps.discriminator = 60
    config.steps.adversarial = 200
    config.optimizer.learning_rate = 3e-3
    config.optimizer.final_learning_rate = 3e-5
    config.optimizer.networks.discriminator = ConfigDict({"learning_rate": 3e-4})  # at 3e-3 it is worse than chance
    config.optimizer.b1 = 0.9
    config.ema_decay = 0.995
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 100
    config.log_images_every = 400
    config.checkpoint_every = 500


_VARIANTS = {"tiny": _tiny, "base": _base, "released": _released}
