"""ERRNet: a residual network with channel attention and pyramid pooling, trained with a perceptual loss and a GAN.

    sirr train --config=errnet:tiny --workdir=runs/errnet --cpu_devices=2

* `tiny`: a narrow network without VGG-19 features, 64 px, embedded photographs; 2.5 minutes on two CPU cores.
* `base`: the published network and schedule (Wei et al., CVPR 2019; baselines specification, section 4.3). It needs
  torchvision's VGG-19 (`--config.companions.vgg19=vgg19.safetensors --config.perceptual_weights=vgg19.safetensors`),
  photographs (`--config.data.photos=FOLDER`) and the 89 real pairs (`--config.data.pairs=FOLDER`). The release draws
  one sample a step, of either kind; here a step has ten samples, seven synthetic and three real, and there are a tenth
  as many steps, at the same learning rates. Not yet run at full length.
* `finetune`: epochs 60 to 80, with pairs that are not aligned (`--config.data.unaligned=FOLDER
  --config.init_from=MODEL.safetensors`). Not yet run at full length.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import varied
from sirr_jax.training.supervised_config import stage, supervised_config

_EPOCH = 7_643 + 89  # synthetic and real samples


def get_config(variant: str = "base") -> ConfigDict:
    """Makes the config of a variant: "tiny", "base" or "finetune"."""
    config = supervised_config("errnet/generator")
    config.torch_initial = True
    config.losses = ConfigDict({"mse": 0.2, "gradient_l1": 0.4})
    config.perceptual_loss = 0.1
    config.discriminator.network = "errnet/discriminator"
    config.companions.vgg19 = ""  # torchvision's VGG-19, whose features are a part of the input
    config.data.crop = 224
    config.data.short_side = (224, 448)
    config.data.turn = False
    config.data.flip = True
    config.batch_size = 10
    config.optimizer.schedule = "constant"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.final_learning_rate = 1e-4
    config.optimizer.clip = 0.0
    config.ema_decay = 0.0
    return varied(config, variant, _VARIANTS)


def _epochs(config: ConfigDict, count: int) -> int:
    return count * _EPOCH // config.batch_size


def _base(config: ConfigDict) -> None:
    stages = config.stages
    config.stage_order = ("pixels", "adversarial", "half", "tenth", "balanced", "balanced_tenth")
    stages.pixels = stage(_epochs(config, 20), pairs=0.3)
    stages.adversarial = stage(_epochs(config, 10), pairs=0.3, adversarial=True)
    stages.half = stage(_epochs(config, 10), rate=0.5, pairs=0.3, adversarial=True)
    stages.tenth = stage(_epochs(config, 5), rate=0.1, pairs=0.3, adversarial=True)
    stages.balanced = stage(_epochs(config, 5), rate=0.5, pairs=0.5, adversarial=True)
    stages.balanced_tenth = stage(_epochs(config, 10), rate=0.1, pairs=0.5, adversarial=True)


def _finetune(config: ConfigDict) -> None:
    config.batch_size = 4
    shares = {"pairs": 0.25, "unaligned": 0.5, "adversarial": True}
    config.stage_order = ("full", "half", "tenth")
    config.stages.full = stage(_epochs(config, 5), **shares)
    config.stages.half = stage(_epochs(config, 5), rate=0.5, **shares)
    config.stages.tenth = stage(_epochs(config, 10), rate=0.1, **shares)


def _tiny(config: ConfigDict) -> None:
    config.width = "tiny"
    config.model_args.hypercolumn = False
    config.companions = ConfigDict()
    config.data.crop = 64
    config.data.short_side = (64, 192)
    config.data.loader = "threads"
    config.data.synthesis.name = "dsrnet"
    config.data.synthesis.options.screen_probability = 1.0
    config.batch_size = 8
    config.stage_order = ("pixels", "adversarial")
    config.stages.pixels = stage(700)
    config.stages.adversarial = stage(100, adversarial=True)
    config.losses.l1 = 1.0  # the published losses leave the brightness loose, which takes many more steps to settle
    config.optimizer.schedule = "cosine"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.final_learning_rate = 2e-5
    config.optimizer.clip = 1.0
    config.optimizer.networks.discriminator = ConfigDict({"learning_rate": 1e-4})
    config.ema_decay = 0.99
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 200
    config.log_images_every = 500
    config.checkpoint_every = 200


_VARIANTS = {"tiny": _tiny, "base": _base, "finetune": _finetune}
