"""A narrow SR-Net of 24 px: sizes, config, trained networks of each stage, and fast initialization."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import learning_networks
from tests.helpers.recipe_runs import config_of

SIZE = 24  # the smallest that the discriminators take
STEPS = 2  # steps of each stage of the short run
DISCRIMINATORS = {"map_discriminator", "image_discriminator"}
LEARNS = {
    "segmenter": {"segmenter"},
    "refine": {"refiner", "map_discriminator"},
    "restore": {"restorer", "image_discriminator"},
    "joint": {"refiner", "restorer"} | DISCRIMINATORS,
}


def small_config(variant="tiny"):
    """Returns a config of 24 px with two steps per stage."""
    config = config_of("srnet")(variant)
    config.width = config.segmenter.width = "tiny"
    config.data.crop = config.data.scenes.size = SIZE
    config.data.loader, config.batch_size = "threads", 4
    config.data.scenes.count = 8
    # The fast kinds.
    config.data.degradations.kinds = "gaussian_noise,jpeg"
    for stage in config.steps:
        config.steps[stage] = STEPS
    return config


def drawn(network, key, *shapes):
    """Returns random variables in place of `initialize`, without compilation."""
    traced = jax.eval_shape(lambda: network.init(key, *(jnp.zeros(shape) for shape in shapes), train=True))
    rng = np.random.default_rng(int(jax.random.bits(key) % 1000))

    def draw(path, x):
        value = rng.standard_normal(x.shape).astype(np.float32)
        scale = {"kernel": np.sqrt(np.prod(x.shape[:-1])), "u": np.linalg.norm(value), "v": np.linalg.norm(value)}
        name = path[-1].key
        return jnp.asarray(value / scale[name]) if name in scale else jnp.full(x.shape, float(name == "scale"))

    return jax.tree_util.tree_map_with_path(draw, traced)


def draw_quickly(patch):
    """Replaces `initialize` by `drawn` in the recipe."""
    patch.setattr("sirr_jax.recipes.srnet.networks.initialize", drawn)


def optimizers_of(recipe, config):
    """Returns the optimizer of each trained network."""
    return {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}
