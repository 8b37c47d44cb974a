from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.raindrops import RaindropOptions, difference_mask, draw_raindrops, render
from sirr_jax.synthesis.raindrops.optics import disc_blur, light_through
from sirr_jax.synthesis.raindrops.shapes import Coverage, cover

HEIGHT, WIDTH = 48, 64
OPTIONS = RaindropOptions(count=(2, 6), radius=(0.05, 0.2))
NO_THRESHOLD = RaindropOptions(count=(2, 6), radius=(0.05, 0.2), mask_threshold=0.0)
ROUND = RaindropOptions(count=(1, 1), radius=(0.2, 0.2), elongation=(1, 1), roughness=(0, 0), joined_probability=0)


@functools.cache
def renderer():
    return jax.jit(functools.partial(render, options=OPTIONS))


@functools.cache
def drawer(options):
    return jax.jit(jax.vmap(lambda key: draw_raindrops(key, HEIGHT, WIDTH, options=options)))


def photograph(seed=0):
    coarse = jax.random.uniform(jax.random.key(seed), (6, 8, 3))
    return jnp.clip(jax.image.resize(coarse, (HEIGHT, WIDTH, 3), "linear"), 0.0, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_image_changes_only_under_drops(seed):
    clean = photograph(seed)
    rainy = renderer()(jax.random.key(seed), clean)
    outside = np.asarray(rainy.alpha[..., 0]) == 0
    np.testing.assert_array_equal(np.asarray(rainy.image)[outside], np.asarray(clean)[outside])
    assert 0 < np.mean(outside) < 1
    # A drop shows another part of the scene, so most of the covered pixels differ.
    changed = np.max(np.abs(np.asarray(rainy.image) - np.asarray(clean)), axis=-1) > 2 / 255
    assert np.mean(changed[~outside]) > 0.7


def test_mask_equals_the_published_rule_on_the_bytes():
    for seed in range(5):
        clean_bytes = np.rint(255 * np.asarray(photograph(seed))).astype(np.uint8)
        rainy = renderer()(jax.random.key(seed), jnp.asarray(clean_bytes, jnp.float32) / 255.0)
        rainy_bytes = np.rint(255 * np.asarray(rainy.image)).astype(np.uint8)
        np.testing.assert_array_equal(rainy.mask, difference_mask(rainy_bytes, clean_bytes, threshold=30.0))
        changed = difference_mask(rainy_bytes, clean_bytes, threshold=30.0, dilate=False)
        assert changed.any()
        assert not np.any(changed[np.asarray(rainy.alpha) == 0])


def test_mask_without_a_threshold_contains_all_touched_pixels():
    rainy = jax.jit(functools.partial(render, options=NO_THRESHOLD))(jax.random.key(0), photograph())
    np.testing.assert_array_equal(rainy.mask, rainy.alpha > 0)
    by_rule = renderer()(jax.random.key(0), photograph())
    np.testing.assert_allclose(rainy.image, by_rule.image, atol=1e-5)


def test_images_and_masks_are_in_range_over_black_and_white():
    for value in (0.0, 1.0):
        rainy = renderer()(jax.random.key(1), jnp.full((HEIGHT, WIDTH, 3), value))
        assert rainy.image.shape == (HEIGHT, WIDTH, 3)
        assert rainy.mask.shape == rainy.alpha.shape == (HEIGHT, WIDTH, 1)
        for array in (rainy.image, rainy.alpha):
            assert array.dtype == jnp.float32
            assert np.all((np.asarray(array) >= 0) & (np.asarray(array) <= 1))


def test_batch_equals_its_samples_and_keys_determine_them():
    keys = jax.random.split(jax.random.key(3), 3)
    photographs = jnp.stack([photograph(s) for s in range(3)])
    batch = jax.jit(jax.vmap(functools.partial(render, options=OPTIONS)))(keys, photographs)
    for i in range(3):
        alone = jax.tree.leaves(renderer()(keys[i], photographs[i]))
        for in_batch, single in zip(jax.tree.leaves(batch), alone, strict=True):
            np.testing.assert_allclose(in_batch[i], single, atol=2e-4)
    again = renderer()(keys[0], photographs[0])
    np.testing.assert_array_equal(again.image, renderer()(keys[0], photographs[0]).image)
    assert not np.array_equal(again.mask, renderer()(keys[1], photographs[0]).mask)


def test_number_and_size_follow_the_options():
    drawn = drawer(OPTIONS)(jax.random.split(jax.random.key(0), 200))
    numbers = np.sum(drawn.present, axis=1)
    assert set(numbers.tolist()) == {2, 3, 4, 5, 6}
    first, second = np.asarray(drawn.radius[..., 0]) / HEIGHT, np.asarray(drawn.radius[..., 1]) / HEIGHT
    assert 0.05 - 1e-6 <= first.min() < 0.055
    assert 0.19 < first.max() <= 0.2 + 1e-6
    assert np.all(second <= 0.9 * first)
    assert abs(np.mean(second > 0) - OPTIONS.joined_probability) < 0.06
    defocus = np.asarray(drawn.defocus) / HEIGHT
    assert OPTIONS.defocus[0] <= defocus.min() < defocus.max() <= OPTIONS.defocus[1]


def test_round_drop_covers_the_area_of_its_disc():
    params = jax.tree.map(lambda a: a[0], drawer(ROUND)(jax.random.split(jax.random.key(0), 1)))
    params = params._replace(center=jnp.asarray([[[32.0, 24.0], [0.0, 0.0]]]))
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    coverage = cover(jnp.stack([jnp.asarray(x), jnp.asarray(y)], axis=-1).astype(jnp.float32), params)
    radius = float(params.radius[0, 0])
    assert abs(float(jnp.sum(coverage.inside)) - np.pi * radius**2) < 0.03 * np.pi * radius**2
    away = np.hypot(x - 32, y - 24)
    np.testing.assert_array_equal(coverage.inside[away < radius - 1], 1.0)
    np.testing.assert_array_equal(coverage.inside[away > radius + 1], 0.0)
    inside = np.asarray(coverage.inside) > 0
    expected = np.stack([x - 32, y - 24], axis=-1) / radius
    np.testing.assert_allclose(np.asarray(coverage.local)[inside], expected[inside], atol=1e-3)


def test_no_drops_is_the_identity():
    options = RaindropOptions(count=(0, 1))
    draw = drawer(options)
    key = next(k for k in jax.random.split(jax.random.key(0), 20) if not np.any(draw(k[None]).present))
    clean = photograph()
    rainy = jax.jit(functools.partial(render, options=options))(key, clean)
    np.testing.assert_array_equal(rainy.image, clean)
    assert not np.any(rainy.mask)


def test_disc_blur_equals_a_literal_average():
    plane = np.random.default_rng(0).uniform(size=(16, 20, 2)).astype(np.float32)
    radius = 2.3
    expected, total = np.zeros_like(plane), 0.0
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            weight = np.clip(radius + 0.5 - np.hypot(dy, dx), 0, 1)
            expected += weight * np.roll(plane, (dy, dx), (0, 1))
            total += weight
    np.testing.assert_allclose(disc_blur(jnp.asarray(plane), jnp.asarray(radius)), expected / total, atol=1e-5)
    np.testing.assert_allclose(disc_blur(jnp.asarray(plane), jnp.asarray(0.0)), plane, atol=1e-5)


def test_drop_shows_the_scene_upside_down_and_darker_at_its_rim():
    scene = jnp.concatenate([jnp.full((24, WIDTH, 3), 0.9), jnp.full((24, WIDTH, 3), 0.1)])
    params = jax.tree.map(lambda a: a[0], drawer(ROUND)(jax.random.split(jax.random.key(0), 1)))
    params = params._replace(
        ambient=jnp.zeros(()), highlight=jnp.zeros(()), brightness=jnp.ones(()), rim=jnp.asarray(0.5)
    )
    # Five points from the top of a drop in the middle of the image to its bottom.
    local = jnp.asarray([[[0.0, v] for v in (-1.0, -0.5, 0.1, 0.5, 1.0)]])
    coverage = Coverage(
        inside=jnp.ones((1, 5)),
        local=local,
        center=jnp.broadcast_to(jnp.asarray([[[32.0, 24.0]]]), (1, 5, 2)),
        view=jnp.full((1, 5, 2), 20.0),
    )
    light = np.asarray(light_through(scene, coverage, params))[0, :, 0]
    np.testing.assert_allclose(light[[0, 1, 3, 4]], [0.05, 0.1, 0.9, 0.45], rtol=0.05)


def test_invalid_arguments_raise():
    key = jax.random.key(0)
    for wrong in (jnp.zeros((32, 32)), jnp.zeros((8, 32, 3)), jnp.zeros((32, 32, 3), jnp.uint8)):
        with pytest.raises(UserError, match="give float32"):
            render(key, wrong, options=OPTIONS)
