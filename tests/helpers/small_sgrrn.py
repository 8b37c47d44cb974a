"""A narrow SGRRN of 32 px: sizes, config, and networks that are fast to compile and to initialize."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.models.resnet import ResNet, ResNet50
from sirr_jax.models.sgrrn.encoder import BACKBONES
from tests.helpers.recipe_runs import config_of

SIZE = 32
DISCRIMINATORS = {"discriminator_background", "discriminator_reflection"}
STEPS = 2  # steps of each stage of the short run


class Shallow(ResNet):
    """A ResNet of one block per stage: differentiating a deep one takes long."""

    blocks = (1, 1, 1, 1)


def use_shallow(patch):
    """Replaces `resnet50` by `Shallow`."""
    patch.setitem(BACKBONES, "resnet50", (Shallow, (1,)))


def small_config(variant="tiny"):
    """Returns a config of 32 px with discriminators and an exclusion loss."""
    config = config_of("sgrrn")(variant)
    config.width, config.backbone, config.batch_size = "tiny", "resnet50", 4
    config.data.crop = config.data.scenes.size = SIZE
    config.data.scenes.count = 8
    config.data.loader = "threads"
    config.adversarial, config.exclusion = True, 0.1
    config.optimizer.schedule = "constant"
    config.optimizer.networks.generator.lr_mults = (("encoder/backbone/.*norm", 0.0),)
    for stage in config.steps:
        config.steps[stage] = STEPS
    return config


def draw_zeros(config, patch):
    """Replaces the initial values of the recipe's networks by zeros, which need no compilation."""

    def zeros(network, key, *shapes):
        init = functools.partial(network.init, train=True)
        shapes = jax.eval_shape(init, key, *(jnp.zeros(shape) for shape in shapes))
        return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)

    patch.setattr("sirr_jax.recipes.sgrrn.recipe.initialize", zeros)
    patch.setitem(BACKBONES, "resnet50", (ResNet50, (1, 2, 1)))
    config.adversarial = False
    return config
