"""A recipe that compiles in a second and uses all features of the training step and loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from sirr_jax.recipes.base import Aux, Recipe, Stage, Update
from sirr_jax.weights.model_file import StoredNetwork

WIDTH = 5


class Toy(Recipe):
    """Linear generator and discriminator, a frozen target, running statistics, two stages."""

    name = "toy"
    panels = ("input", "target")

    def __init__(self, config):
        self._poison = config.get("poison", -1)
        discriminate = Update(("discriminator",), self._discriminate, times=2)
        generate = Update(("generator",), self._generate)
        self.stages = (
            Stage("alone", config.steps, (generate,), {"layers": 1.0}),
            Stage("together", config.steps, (discriminate, generate), {"layers": 1.0}, begin=self._begin),
        )

    def _begin(self, start):
        generator = jax.tree.map(lambda x: x + 1, start.ema["generator"])
        return start._replace(params=start.params | {"generator": generator})

    def init(self, key):
        keys = jax.random.split(key, 3)
        params = {
            "generator": {"w": jax.random.normal(keys[0], (WIDTH, WIDTH))},
            "discriminator": {"w": jax.random.normal(keys[1], (WIDTH,))},
            "target": {"w": jax.random.normal(keys[2], (WIDTH, WIDTH))},
        }
        return params, {"mean": {"x": jnp.zeros(WIDTH)}, "idle": {"x": jnp.full((3,), 0.1)}}

    def prepare(self, raw, key, *, train=True):
        index = raw["layers"]["index"]

        def draw(i):
            return jax.random.normal(jax.random.fold_in(key, i), (WIDTH,))

        return {"x": jax.vmap(draw)(index), "index": index.astype(jnp.float32)}

    def _generate(self, params, collections, batch, key):
        x = batch["x"]
        output, target = x @ params["generator"]["w"], x @ params["target"]["w"]
        loss = jnp.square(output - target).mean() - 0.01 * (output @ params["discriminator"]["w"]).mean()
        loss += jnp.where(jnp.any(batch["index"] == self._poison), jnp.nan, 0.0)
        mean = 0.9 * collections["mean"]["x"] + 0.1 * x.mean(axis=0)
        noise = jax.random.normal(key)
        return loss, Aux({"generator/loss": loss, "noise": noise, "progress": batch["progress"]}, {"mean": {"x": mean}})

    def _discriminate(self, params, collections, batch, key):
        output = jax.lax.stop_gradient(batch["x"] @ params["generator"]["w"])
        loss = jnp.square(output @ params["discriminator"]["w"] - 1.0).mean()
        return loss, Aux({"discriminator/loss": loss})

    def compare(self, params, collections, batch):
        image = jnp.broadcast_to(batch["x"].mean(axis=1)[:, None, None, None], (batch["x"].shape[0], 20, 20, 3))
        return {"input": jnp.clip(image, 0.0, 1.0), "target": jnp.ones_like(image)}

    def exports(self, params, collections):
        return {
            "toy": {"student": StoredNetwork("dynamics/student", {"width": "tiny"}, {"params": params["generator"]})}
        }


@pytest.fixture
def toy_config(monkeypatch):
    monkeypatch.setattr("sirr_jax.training.trainer.get_recipe", lambda name: Toy)
    return make_config()


def make_config():
    config = ConfigDict()
    config.recipe = "toy"
    config.steps = 6
    config.seed = 3
    config.batch_size = 8
    config.grad_accum_steps = 1
    config.scan_steps = 1
    config.ema_decay = 0.9
    config.max_to_keep = 3
    config.log_every, config.checkpoint_every = 2, 2
    config.eval_every = config.log_images_every = 0
    config.validation_samples = 2
    config.data = ConfigDict(
        {
            "photos": "procedural",
            "crop": 16,
            "margin": -1,
            "min_scale": 1.0,
            "max_scale": 2.0,
            "loader": "threads",
            "on_corrupt": "error",
            "validation": "",
        }
    )
    config.optimizer = ConfigDict(
        {"learning_rate": 0.05, "final_learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "clip": 1.0}
    )
    return config


@pytest.fixture
def toy_recipe(toy_config):
    return Toy(toy_config)


@pytest.fixture
def raw_batch():
    def make(count, start=0):
        return {"layers": {"index": np.arange(start, start + count, dtype=np.uint32)}}

    return make
