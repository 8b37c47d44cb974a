from __future__ import annotations

import dataclasses
import functools

import jax
import numpy as np
import pytest
import scipy.ndimage

from sirr_jax.errors import UserError
from sirr_jax.synthesis.multiview import MultiviewOptions, Sequence, recompose, synthesize, synthesize_single

CLEAN = MultiviewOptions(size=32, margin=16, noise_probability=0.0, jpeg_probability=0.0)
COUNT = 24
# Without optimization, because the programs run only a few times on tiny images.
QUICK = {"xla_backend_optimization_level": 0}


def texture(seed, shape):
    """Smooth colored noise over the full range [0, 1]."""
    noise = np.random.default_rng(seed).normal(size=shape)
    noise = scipy.ndimage.gaussian_filter(noise, (0, 2, 2, 0.5), mode="wrap")
    low, high = noise.min(axis=(1, 2, 3), keepdims=True), noise.max(axis=(1, 2, 3), keepdims=True)
    return ((noise - low) / (high - low)).astype(np.float32)


CANVAS_T = texture(1, (COUNT, *CLEAN.canvas, 3))
CANVAS_R = texture(2, (COUNT, *CLEAN.canvas, 3))


def make_keys(count, seed=7):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), np.arange(count, dtype=np.uint32))


@pytest.fixture(scope="module")
def batched():
    return jax.jit(jax.vmap(functools.partial(synthesize, options=CLEAN)), compiler_options=QUICK)


@pytest.fixture(scope="module")
def batch(batched) -> Sequence:
    return jax.tree.map(np.asarray, batched(make_keys(COUNT), CANVAS_T, CANVAS_R))


@pytest.fixture(scope="module")
def single_batched():
    options = dataclasses.replace(CLEAN, noise_probability=1.0, noise_sigma=(0.005, 0.01))
    return jax.jit(jax.vmap(functools.partial(synthesize_single, options=options)), compiler_options=QUICK)


@pytest.fixture(scope="module")
def mixtures(single_batched):
    crop = np.s_[:, 16:48, 16:48]
    return jax.tree.map(np.asarray, single_batched(make_keys(COUNT), CANVAS_T[crop], CANVAS_R[crop]))


def warp(image, flow):
    """Bilinear look-up at p + flow(p), clamped, by a literal loop over the four neighbors."""
    height, width, _ = image.shape
    out = np.zeros_like(image, np.float64)
    for i in range(height):
        for j in range(width):
            x, y = j + flow[i, j, 0], i + flow[i, j, 1]
            for row in (int(np.floor(y)), int(np.floor(y)) + 1):
                for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                    weight = max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
                    out[i, j] += weight * image[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return out


def test_shapes_and_ranges(batch):
    assert batch.frames.shape == batch.transmission.shape == batch.reflection.shape == (COUNT, 3, 32, 32, 3)
    assert batch.flow_t.shape == batch.flow_r.shape == (COUNT, 2, 32, 32, 2)
    assert batch.valid_t.shape == batch.valid_r.shape == (COUNT, 2, 32, 32)
    for image in (batch.frames, batch.transmission, batch.reflection):
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
    for mask in (batch.valid_t, batch.valid_r):
        assert set(np.unique(mask)) == {0, 1}
        assert mask.mean() > 0.8
    assert np.isin(np.arange(4), batch.params.model).all()


def test_recompose_reproduces_the_frames(batch):
    again = jax.jit(jax.vmap(recompose))(batch)
    np.testing.assert_allclose(again, batch.frames, atol=1e-6)


@pytest.mark.parametrize("layer", ["t", "r"])
def test_flow_warps_the_neighbors_to_the_middle_frame(batch, layer):
    """The mean error on valid pixels is small, and much smaller than without the flow."""
    frames = batch.transmission if layer == "t" else batch.reflection
    flow, valid = (batch.flow_t, batch.valid_t) if layer == "t" else (batch.flow_r, batch.valid_r)
    errors, still = [], []
    for index in range(COUNT):
        if layer == "r" and batch.params.model[index] == 1:
            continue  # Zhang's vignette stays with the camera while the reflection moves.
        s = index % 2
        mask = valid[index, s] > 0
        warped = warp(frames[index, 2 * s], flow[index, s])
        errors.append(np.abs(warped - frames[index, 1])[mask].mean())
        still.append(np.abs(frames[index, 2 * s] - frames[index, 1])[mask].mean())
    assert max(errors) < 0.02
    assert np.mean(errors) < 0.25 * np.mean(still)


def test_mask_moves_with_the_reflection(batch):
    """A point of the middle frame and its target in a neighbor have the same position in the field of the mask."""
    y, x = np.meshgrid(np.arange(32.0), np.arange(32.0), indexing="ij")
    maps = batch.params.mask_homographies.astype(np.float64)

    def place(homography, x, y):
        mapped = np.einsum("...ij,jhw->...ihw", homography, np.stack([x, y, np.ones_like(x)]))
        return mapped[:2] / mapped[2]

    for index in range(COUNT):
        middle = place(maps[index, 1], x, y)
        np.testing.assert_allclose(middle[:, 0, 0], 16.5 / 64, atol=1e-6)
        for s in (0, 1):
            flow = batch.flow_r[index, s]
            there = place(maps[index, 2 * s], x + flow[..., 0], y + flow[..., 1])
            np.testing.assert_allclose(there, middle, atol=1e-5)


def test_flow_is_wrong_at_hidden_points(batch):
    height = np.arange(32, dtype=np.float32)
    x, y = np.meshgrid(height, height)
    target_x, target_y = x + batch.flow_t[..., 0], y + batch.flow_t[..., 1]
    inside = (target_x >= 0) & (target_x <= 31) & (target_y >= 0) & (target_y <= 31)
    hidden = inside & (batch.valid_t == 0)
    most = np.argmax(hidden.sum(axis=(2, 3)))
    index, s = np.unravel_index(most, hidden.shape[:2])
    error = np.abs(warp(batch.transmission[index, 2 * s], batch.flow_t[index, s]) - batch.transmission[index, 1])
    assert hidden[index, s].sum() >= 5
    assert error[hidden[index, s]].mean() > 3 * error[batch.valid_t[index, s] > 0].mean()


def test_middle_transmission_is_the_crop_without_depth_parallax(batch):
    same = np.all(batch.transmission[:, 1] == CANVAS_T[:, 16:48, 16:48], axis=(1, 2, 3))
    assert 0.3 <= same.mean() <= 0.9


def test_equal_keys_give_equal_bytes_and_other_keys_other_sequences(batched, batch):
    again = jax.tree.map(np.asarray, batched(make_keys(COUNT), CANVAS_T, CANVAS_R))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(batch), strict=True))
    other = batched(make_keys(COUNT, seed=8), CANVAS_T, CANVAS_R)
    assert np.all(np.abs(np.asarray(other.frames) - batch.frames).max(axis=(1, 2, 3, 4)) > 0.01)


def test_sequence_does_not_depend_on_its_batch(batch):
    alone = jax.jit(functools.partial(synthesize, options=CLEAN), compiler_options=QUICK)
    one = alone(make_keys(COUNT)[5], CANVAS_T[5], CANVAS_R[5])
    of_batch = jax.tree.map(lambda leaf: leaf[5], batch)
    for name, left, right in zip(Sequence._fields, one, of_batch, strict=True):
        if name.startswith("valid"):
            assert np.mean(np.asarray(left) != right) < 0.002, "points within rounding of an outline may differ"
        else:
            # Programs of different shapes may sum in different orders.
            jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-4), left, right)


def test_dark_layers_are_brightened_and_black_ones_stay_black(batched):
    dim = np.stack([0.05 * CANVAS_T[0], np.zeros_like(CANVAS_T[0])] * (COUNT // 2))
    sequences = batched(make_keys(COUNT), dim, CANVAS_R)
    peak = np.asarray(sequences.transmission)[:, 1].max(axis=(1, 2, 3))
    np.testing.assert_allclose(peak[::2], 0.15, rtol=1e-4)
    np.testing.assert_array_equal(peak[1::2], 0)
    swapped = batched(make_keys(COUNT), CANVAS_T, dim)
    assert np.isfinite(np.asarray(swapped.frames)).all()
    np.testing.assert_array_equal(np.asarray(swapped.reflection)[1::2], 0)
    assert np.all(np.asarray(swapped.reflection)[::2].max(axis=(1, 2, 3, 4)) > 0)


def test_single_mixtures_keep_the_transmission_and_differ_from_recompose_by_noise_only(mixtures):
    np.testing.assert_array_equal(mixtures.transmission, CANVAS_T[:, 16:48, 16:48])
    assert mixtures.frame.shape == mixtures.reflection.shape == (COUNT, 32, 32, 3)
    clean = np.asarray(jax.jit(jax.vmap(recompose))(mixtures))
    inner = (clean > 0.05) & (clean < 0.95)
    noise = (mixtures.frame - clean)[inner]
    assert 0.004 < noise.std() < 0.016
    assert abs(noise.mean()) < 1e-3
    assert np.isin(np.arange(4), mixtures.params.model).all()


def test_zero_padding_darkens_the_border_for_ceilnet_and_dsrnet_only(single_batched):
    white, black = np.ones((COUNT, 32, 32, 3), np.float32), np.zeros((COUNT, 32, 32, 3), np.float32)
    mixtures = jax.tree.map(np.asarray, single_batched(make_keys(COUNT), black, white))
    blurred = (mixtures.params.blur_radius > 0) & (mixtures.params.ghost_strength == 1)
    ratio = mixtures.reflection[:, 16, 0, 0] / mixtures.reflection[:, 16, 3, 0]
    zero_border = np.isin(mixtures.params.model, (0, 2))
    assert np.all(ratio[blurred & zero_border] < 0.95)
    assert np.all(ratio[blurred & ~zero_border] > 0.8)
    assert np.any(blurred & zero_border)
    assert np.any(blurred & ~zero_border)


def test_layer_of_wrong_size_or_type_raises():
    key = jax.random.key(0)
    good, small = CANVAS_T[0], CANVAS_T[0, 1:]
    with pytest.raises(UserError, match=r"reflection has shape \(63, 64, 3\), expected \(64, 64, 3\)"):
        synthesize(key, good, small, options=CLEAN)
    with pytest.raises(UserError, match=r"transmission has shape \(64, 64, 3\), expected \(32, 32, 3\)"):
        synthesize_single(key, good, good, options=CLEAN)
    with pytest.raises(UserError, match="transmission is uint8"):
        synthesize(key, (255 * good).astype(np.uint8), good, options=CLEAN)
