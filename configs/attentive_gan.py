"""Train AttentiveGAN to remove raindrops.

    sirr train --config=configs/attentive_gan.py:tiny --workdir=runs/drops --cpu_devices=2

A config is chosen by what follows the colon; any value can be overridden, for example
`--config.data.photos=/photos --config.batch_size=4`.

* `tiny`: 0.39 M / 0.09 M parameters, 64 px, drops laid over photographs; 25 minutes of processor time. With 117
  photographs to train on (`--config.data.photos`) and 24 held out (`--config.data.validation`): input 27.59 dB,
  restored 29.32 dB in luminance; docs/recipes.md says how to read that.
* `base`: the published networks, the paper's losses, 224 px, 100 + 300 epochs of the 861 training pairs in batches of
  8. Drops are laid over photographs unless pairs are given: `--config.data.pairs=/DeRaindrop#train
  --config.data.pairs_share=1.0 --config.data.validation=/DeRaindrop#test_a`.
* `released`: the authors' training code without its listed defects: its losses, VGG-16 fed raw BGR, RMSprop, batches
  of 2, no mirroring, PyTorch's old initial values, 280k adversarial steps. It wants the pairs above.

`base` and `released` have not been run at full length yet.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied

_PAIRS = 861  # in DeRaindrop's training set


def get_config(variant: str = "base") -> ConfigDict:
    """Make the config of a variant: "tiny", "base" or "released"."""
    config = training_config("attentive_gan")  # what all recipes have
    config.preset = "paper"  # or released: the losses' numbers, what VGG-16 is fed, the initial values
    config.init_from = ""  # a model file to go on from, for example of the authors' converted gen.pkl

    config.data.crop = 224  # the published discriminator takes no other; at other sizes its head is a mean
    config.data.flip = True  # mirror half of the scenes
    config.data.raindrops = ConfigDict()  # fields of RaindropOptions; lengths in units of the image's side
    config.data.raindrops.count = (8, 48)
    config.data.raindrops.radius = (0.015, 0.1)
    config.data.raindrops.defocus = (0.008, 0.06)
    config.data.raindrops.mask_threshold = 30.0
    config.data.mask = ConfigDict()  # of pairs: arguments of difference_mask
    config.data.mask.threshold = 30.0
    config.data.mask.reduce = "max"  # or sum, mean_abs_diff_of_means
    config.data.mask.dilate = True

    config.steps = ConfigDict()
    config.steps.generator = 100 * _PAIRS // 8  # without the discriminator
    config.steps.discriminator = 1_000  # the generator is frozen
    config.steps.adversarial = 300 * _PAIRS // 8

    config.weights = ConfigDict()
    config.weights.adversarial = 0.01
    config.weights.perceptual = 1.0  # with a VGG-16 file
    config.weights.stand_in = 0.1  # of what takes its place without one; 0 for nothing
    config.saturating = False  # True: log(1 - D), as the paper writes it
    config.map_target = "attention"  # of the discriminator's map: the generator's last one, or mask

    # Ablations. The paper's A is without attention and discriminator, A+D without attention and discriminator_map,
    # A+AD without attention.
    config.ablate = ConfigDict()
    for part in ("attention", "discriminator", "discriminator_map", "map_loss"):
        config.ablate[part] = False

    config.optimizer.b1 = 0.5
    config.protocol = "y"  # the authors' metric
    return varied(config, variant, _VARIANTS)


def _base(config: ConfigDict) -> None:
    del config


def _released(config: ConfigDict) -> None:
    config.preset = "released"
    config.batch_size = 2
    config.data.pairs_share = 1.0
    config.data.max_scale = 1.0
    config.data.flip = False
    # 2, 2 and 400 epochs of 1,400 crops; in the second, 466 picks one by one.
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
    config.width = "small"  # narrower still, two features would have to carry three colors
    config.data.crop = 64
    config.data.loader = "threads"
    # Few drops, of several pixels each: smaller ones could not be told from what they lie on.
    config.data.raindrops.count = (5, 12)
    config.data.raindrops.radius = (0.06, 0.16)
    config.data.raindrops.defocus = (0.01, 0.03)
    config.batch_size = 4
    config.steps.generator = 3_000
    config.steps.discriminator = 60
    config.steps.adversarial = 200
    config.optimizer.learning_rate = 3e-3
    config.optimizer.final_learning_rate = 3e-5
    config.optimizer.networks.discriminator = ConfigDict({"learning_rate": 3e-4})  # at 3e-3 it does worse than guess
    config.optimizer.b1 = 0.9
    config.ema_decay = 0.995
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 100
    config.log_images_every = 400
    config.checkpoint_every = 500


_VARIANTS = {"tiny": _tiny, "base": _base, "released": _released}
