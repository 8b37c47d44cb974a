"""Batches of single images from synthetic and real pairs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.recipes.common.single_image_batch import single_images
from sirr_jax.synthesis.reflection import synthesis_options, synthesize_batch

KEY = jax.random.key(2)
SIDE = 16


@pytest.fixture(scope="module")
def raw():
    rng = np.random.default_rng(0)

    def noise(count):
        return rng.integers(40, 256, (count, SIDE, SIDE, 3), np.uint8)

    single = {"transmission": noise(4), "reflection": noise(4), "index": np.arange(4, dtype=np.uint32)}
    # The published rule rejects a reflection that is much darker than the transmission.
    single["reflection"][2] //= 16
    pairs = {"mixture": noise(2), "transmission": noise(2), "index": np.arange(2, dtype=np.uint32)}
    return {"single": single, "pairs": pairs}


@pytest.fixture(scope="module")
def make():
    options = synthesis_options("zhang", {"vignette_side": 500})

    def batch(raw, *, turn):
        return single_images(raw, KEY, synthesis="zhang", options=options, turn=turn)

    return jax.jit(batch, static_argnames="turn")


def test_synthetic_samples_come_first_then_pairs(raw, make):
    batch = make(raw, turn=False)
    assert {name: x.shape for name, x in batch.items()} == dict.fromkeys(
        ("mixture", "target", "reflection"), (6, SIDE, SIDE, 3)
    )
    assert all(float(x.min()) >= 0 and float(x.max()) <= 1 for x in batch.values())
    single, pairs = raw["single"], raw["pairs"]
    np.testing.assert_allclose(batch["target"][:4], single["transmission"] / 255.0, atol=1e-6)
    np.testing.assert_allclose(batch["mixture"][4:], pairs["mixture"] / 255.0, atol=1e-6)
    np.testing.assert_allclose(batch["target"][4:], pairs["transmission"] / 255.0, atol=1e-6)
    residual = np.clip(pairs["mixture"] / 255.0 - pairs["transmission"] / 255.0, 0, 1)
    np.testing.assert_allclose(batch["reflection"][4:], residual, atol=1e-6)
    expected = synthesize_batch(
        jax.random.fold_in(KEY, 0),
        single["transmission"],
        single["reflection"],
        single["index"],
        name="zhang",
        options=synthesis_options("zhang", {"vignette_side": 500}),
    )
    np.testing.assert_array_equal(expected.kept, [True, True, False, True])
    kept = np.array([0, 1, 3])
    np.testing.assert_allclose(batch["mixture"][kept], expected.mixture[kept], atol=1e-6)
    np.testing.assert_allclose(batch["reflection"][kept], expected.reflection[kept], atol=1e-6)
    np.testing.assert_array_equal(batch["mixture"][2], batch["target"][2])
    assert not batch["reflection"][2].any()


def test_layers_turn_together_by_index_alone(raw, make):
    plain, turned = make(raw, turn=False), make(raw, turn=True)
    symmetries = [lambda x, k=k, t=t: np.rot90(np.swapaxes(x, 0, 1) if t else x, k) for k in range(4) for t in range(2)]
    numbers = set()
    for i in range(6):
        fits = [
            n for n, f in enumerate(symmetries) if np.allclose(f(plain["target"][i]), turned["target"][i], atol=1e-6)
        ]
        numbers.update(fits)
        (number,) = fits
        for name in ("mixture", "reflection"):
            np.testing.assert_allclose(symmetries[number](plain[name][i]), turned[name][i], atol=1e-5)
    assert len(numbers) > 1
    backwards = {kind: {name: x[::-1] for name, x in samples.items()} for kind, samples in raw.items()}
    again = make(backwards, turn=True)
    for name, x in turned.items():
        np.testing.assert_allclose(again[name], jnp.concatenate([x[:4][::-1], x[4:][::-1]]), atol=1e-6)


def test_one_kind_alone(raw, make):
    assert make({"pairs": raw["pairs"]}, turn=False)["mixture"].shape[0] == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("zhang", {"sgma": 1}, "zhang has no option 'sgma'; it takes sigma,"),
        ("zang", {}, "no synthesis is called 'zang'; did you mean 'zhang'"),
        ("zhang", {"sigma": [3, 1]}, "sigma"),
    ],
)
def test_options_are_checked(name, options, message):
    with pytest.raises(UserError, match=message):
        synthesis_options(name, options)
