"""Train Edge GAN (the "Single Image Reflection Remover") to remove reflections.

    sirr train --config=configs/edge_gan.py:tiny --workdir=runs/edges --cpu_devices=2

A config is chosen by what follows the colon; any value can be overridden, for example
`--config.data.photos=/photos --config.batch_size=4`.

* `tiny`: a quarter of the channels, 64 px, DSRNet's screen blend alone; trained on 232 photographs and judged on 48
  mixtures of others: input 17.48 dB, restored 20.88 dB (the input less its best constant: 20.57 dB).
* `base`: the published networks but for the attention net, which is the corrected one, taught the reflection's area;
  maps in [0, 1] inside the networks, the balanced loss, crops of 256 px, three times 100k steps.
* `released`: what the authors' code does without its listed defects: the attention net is trained, the discriminator
  too, pairs are paired by name. Raw maps, the released attention net and loss, targets and restored images judged in
  separate steps, Keras's initial values, a constant learning rate, crops of 400 px. Give it real pairs:
  `--config.data.pairs=/RSIR2 --config.data.validation=/held_out`, and `--config.perceptual_weights` a VGG-16 file of
  Keras's. It trains the networks that `sirr convert` makes of the authors' files:
  `--config.init_from=model.safetensors`.

Where the authors resize a whole picture to 400x400 pixels, crops are taken, which keep its proportions.
`base` and `released` have not been run at full length yet.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied


def get_config(variant: str = "base") -> ConfigDict:
    """Make the config of a variant: "tiny", "base" or "released"."""
    config = training_config("edge_gan")  # what all recipes have
    config.preset = "balanced"  # or release: the generator's loss, separate steps of the discriminator, initial values
    config.batch_size = 10
    config.init_from = ""  # a model file to go on from: of a training run, or converted
    config.aux_scale = 1 / 255  # inside the networks, the unit of the maps in 0..255; 1 as released
    config.discriminator_steps = 5  # per step of the generator

    config.attention = ConfigDict()
    config.attention.variant = "corrected"  # or released
    config.attention.target = "mask"  # where the reflection adds light; or contour: that area's outline, as released
    config.attention.theta = 0.8  # by how much a map weighs less than the next one; 0: the last map alone

    config.data.turn = True  # apply a random symmetry of the square
    config.data.synthesis = ConfigDict()
    config.data.synthesis.name = "zhang"  # see `sirr synthesize list`
    config.data.synthesis.options = ConfigDict()

    config.steps = ConfigDict()
    config.steps.edge = 100_000
    config.steps.attention = 100_000
    config.steps.adversarial = 100_000

    config.optimizer.learning_rate = 1e-4
    config.optimizer.eps = 1e-7
    config.optimizer.clip = 0.0  # errors of maps in 0..255 have large gradients
    config.protocol = "rgb"
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
    config.data.max_scale = 4.0  # at 64 px, a crop must show enough of a photograph to be understood
    # The screen blend alone: what a small network can learn in minutes.
    config.data.synthesis.name = "dsrnet"
    config.data.synthesis.options.screen_probability = 1.0
    config.batch_size = 8
    config.steps.edge = 150
    config.steps.attention = 250
    config.steps.adversarial = 700
    config.discriminator_steps = 1
    config.optimizer.learning_rate = 2e-3
    config.optimizer.final_learning_rate = 2e-5
    config.optimizer.networks.edge_net = ConfigDict({"learning_rate": 1e-2})  # its answers must reach 255
    config.optimizer.networks.attention_net = ConfigDict({"learning_rate": 3e-3, "clip": 1.0})
    config.optimizer.networks.discriminator = ConfigDict({"learning_rate": 2e-4})
    config.ema_decay = 0.99
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 100
    config.log_images_every = 200
    config.checkpoint_every = 200


_VARIANTS = {"tiny": _tiny, "base": _base, "released": _released}
