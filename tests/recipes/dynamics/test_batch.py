"""Training batches of the dynamics recipe from raw samples of all kinds."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from sirr_jax.recipes.dynamics.batch import Augmentation, prepare_batch
from sirr_jax.synthesis.multiview import MultiviewOptions

OPTIONS = MultiviewOptions(size=16, margin=4)


def raw_samples(count, start=0):
    rng = np.random.default_rng(7)
    image = lambda *shape: rng.integers(0, 256, (8, *shape, 3), np.uint8)[start : start + count]  # noqa: E731
    index = np.arange(start, start + count, dtype=np.uint32)
    frames = {name: image(3, 16, 16) for name in ("mixture", "transmission", "reflection")}
    return {
        "layers": {"transmission": image(24, 24), "reflection": image(24, 24), "index": index},
        "single": {"transmission": image(16, 16), "reflection": image(16, 16), "index": index},
        "sequences": frames | {"has_reflection": np.arange(8)[start : start + count] % 2 == 0, "index": index},
        "pairs": {"mixture": image(16, 16), "transmission": image(16, 16), "index": index},
    }


@pytest.fixture(scope="module")
def prepare():
    augmentation = Augmentation(color_jitter=0.5, hard_negative_prob=0.5, turn=True)
    return jax.jit(functools.partial(prepare_batch, options=OPTIONS, augmentation=augmentation))


@pytest.fixture(scope="module")
def plain():
    return jax.jit(functools.partial(prepare_batch, options=OPTIONS))


def test_all_kinds_become_one_batch(prepare):
    batch = jax.device_get(prepare(raw_samples(4), jax.random.key(0)))
    shapes = jax.tree.map(lambda x: x.shape, batch)
    assert shapes["views"]["frames"] == (8, 3, 16, 16, 3)
    assert shapes["views"]["flow_r"] == (8, 2, 16, 16, 2)
    assert shapes["single"] == {"mixture": (8, 16, 16, 3), "target": (8, 16, 16, 3)}
    np.testing.assert_array_equal(batch["views"]["flow_weight"], [1] * 4 + [0] * 4)
    np.testing.assert_array_equal(batch["views"]["reflection_weight"], [1] * 4 + [1, 0.5, 1, 0.5])
    for x in jax.tree.leaves(batch):
        assert x.dtype == np.float32
        assert np.isfinite(x).all()


def test_a_sample_depends_on_its_index_alone(prepare):
    key = jax.random.key(0)
    whole = jax.device_get(prepare(raw_samples(4), key))
    part = jax.device_get(prepare(raw_samples(4, start=2), key))
    for group, name in (("views", "frames"), ("single", "mixture")):
        a, b = whole[group][name], part[group][name]
        np.testing.assert_allclose(a[2:4], b[0:2], atol=1e-6)
        np.testing.assert_allclose(a[6:8], b[4:6], atol=1e-6)
        assert not np.allclose(a[0], b[0], atol=1e-3)


def test_without_augmentation_real_data_stays_unchanged(plain):
    raw = raw_samples(4)
    batch = jax.device_get(plain(raw, jax.random.key(0)))
    np.testing.assert_allclose(batch["views"]["frames"][4:], raw["sequences"]["mixture"] / 255, atol=1e-6)
    np.testing.assert_allclose(batch["single"]["target"][4:], raw["pairs"]["transmission"] / 255, atol=1e-6)
    mixture, transmission = (raw["sequences"][name] / 255.0 for name in ("mixture", "transmission"))
    residual = np.clip(mixture - transmission, 0, 1)
    np.testing.assert_allclose(batch["views"]["reflection"][5], residual[1], atol=1e-6)
    np.testing.assert_allclose(batch["views"]["reflection"][4], raw["sequences"]["reflection"][0] / 255, atol=1e-6)
    # The middle frame's transmission is the middle of the canvas.
    middle = raw["layers"]["transmission"][:, 4:20, 4:20] / 255
    parallax = np.abs(batch["views"]["transmission"][:4, 1] - middle).max(axis=(1, 2, 3))
    assert (parallax < 1e-5).any()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_hard_negatives_are_part_of_the_target(share):
    make = jax.jit(
        functools.partial(prepare_batch, options=OPTIONS, augmentation=Augmentation(hard_negative_prob=share))
    )
    raw = {"single": raw_samples(8)["single"]}
    target = np.asarray(make(raw, jax.random.key(1))["single"]["target"])
    changed = np.abs(target - raw["single"]["transmission"] / 255).max(axis=(1, 2, 3)) > 0.01
    assert changed.all() if share == 1.0 else 0 < changed.sum() < 8


def test_samples_of_textures_need_an_index_alone():
    make = jax.jit(functools.partial(prepare_batch, options=OPTIONS, augmentation=Augmentation(texture_prob=1.0)))
    raw = {"layers": {"index": np.arange(2, dtype=np.uint32)}}
    views = jax.device_get(make(raw, jax.random.key(0)))["views"]
    assert views["frames"].shape == (2, 3, 16, 16, 3)
    assert views["transmission"].std() > 0.01
