"""Edge GAN (the "Single Image Reflection Remover"), which removes reflections with edge and attention maps.

    sirr train --config=edge_gan:tiny --workdir=runs/edges --cpu_devices=2

* `tiny`: a quarter of the channels, 64 px, DSRNet's screen blend alone. Trained on 232 photographs, scored on 48
  mixtures of others: input 17.48 dB, restored 20.88 dB (the input minus its best constant: 20.57 dB).
* `base`: the published networks, except for the corrected attention net, whose target is the area of the reflection;
  maps in [0, 1] inside the networks, the balanced loss, crops of 256 px, three times 100k steps. Not yet run at full
  length.
* `released`: the authors' code without its listed defects: the attention net and the discriminator are trained, pairs
  are matched by name. Raw maps, the released attention net and loss, separate discriminator steps for targets and
  restored images, Keras's initial values, a constant learning rate, crops of 400 px. It needs real pairs
  (`--config.data.pairs=/RSIR2 --config.data.validation=/held_out`) and a VGG-16 file of Keras
  (`--config.perceptual_weights`). It trains the networks of the authors' files as `sirr convert` writes them:
  `--config.init_from=model.safetensors`. Not yet run at full length.

The authors resize whole pictures to 400x400 pixels; here crops keep the proportions.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied


def get_config(variant: str = "base") -> ConfigDict:
    """Makes the config of a variant: "tiny", "base" or "released"."""
    config = training_config("edge_gan")
    config.preset = "balanced"  # generator loss, discriminator steps and initial values: balanced or release
    config.batch_size = 10  # samples per step, over all devices
    config.init_from = ""  # model file with initial weights, of a training run or converted; empty for none
    config.aux_scale = 1 / 255  # factor on the maps (0..255) inside the networks; 1 as released
    config.discriminator_steps = 5  # discriminator steps per generator step, 1 or more

    config.attention = ConfigDict()
    config.attention.variant = "corrected"  # attention net: corrected or released
    config.attention.target = "mask"  # target: mask (area where the reflection adds light) or contour (its outline)
    config.attention.theta = 0.8  # ratio of the weights of a map and the next one, 0 to 1; 0 for the last map alone

    config.data.turn = True  # whether to apply a random symmetry of the square
    config.data.synthesis = ConfigDict()
    config.data.synthesis.name = "zhang"  # name of the synthesis, see `sirr synthesize list`
    config.data.synthesis.options = ConfigDict()  # options of the synthesis, see `sirr synthesize list`

    config.steps = ConfigDict()
    config.steps.edge = 100_000  # steps of the edge net
    config.steps.attention = 100_000  # steps of the attention net
    config.steps.adversarial = 100_000  # steps of the generator and its discriminator

    config.optimizer.learning_rate = 1e-4
    config.optimizer.eps = 1e-7  # constant in the denominator of the optimizer's step
    config.optimizer.clip = 0.0  # errors of maps in 0..255 have large gradients
    config.protocol = "rgb"  # metric protocol of the evaluation
    return varied(config, variant, _VARIANTS)


def _base(config: ConfigDict) -> None:
    del config


def _released(config: ConfigDict) -> None:
    config.preset = "release"
    config.aux_scale = 1.0
    config.attention.variant = "released"
    config.attention.target = "contour"
    config.attention.theta = 0.0
    config.data.pairs_share = 1.0
    config.data.crop = 400
    config.data.turn = False
    config.optimizer.schedule = "constant"
    config.optimizer.final_learning_rate = 1e-4
    config.ema_decay = 0.0


def _tiny(config: ConfigDict) -> None:
    config.width = "small"
    config.data.crop = 64
    config.data.loader = "threads"
    config.data.max_scale = 4.0  # at 64 px, a crop needs enough context
    # The screen blend alone: a small network can learn it in minutes.
    config.data.synthesis.name = "dsrnet"
    config.data.synthesis.options.screen_probability = 1.0
    config.batch_size = 8
    config.steps.edge = 150
    config.steps.attention = 250
    config.steps.adversarial = 700
    config.discriminator_steps = 1
    config.optimizer.learning_rate = 2e-3
    config.optimizer.final_learning_rate = 2e-5
    config.optimizer.networks.edge_net = ConfigDict({"learning_rate": 1e-2})  # its outputs reach 255
    config.optimizer.networks.attention_net = ConfigDict({"learning_rate": 3e-3, "clip": 1.0})
    config.optimizer.networks.discriminator = ConfigDict({"learning_rate": 2e-4})
    config.ema_decay = 0.99
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 100
    config.log_images_every = 200
    config.checkpoint_every = 200


_VARIANTS = {"tiny": _tiny, "base": _base, "released": _released}
