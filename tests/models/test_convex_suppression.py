"""Reflection suppression by convex optimization, against float64 linear algebra."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.models.convex_suppression import suppress
from tests.helpers import networks

HEIGHT, WIDTH = 23, 30


def differences(size):
    """The matrix of forward differences; the last row is zero."""
    matrix = np.eye(size, k=1) - np.eye(size)
    matrix[-1] = 0
    return matrix


def cosines(size):
    """The orthonormal DCT-II as a matrix."""
    frequency, place = np.arange(size)[:, None], np.arange(size)[None]
    rows = np.sqrt(2 / size) * np.cos(np.pi * frequency * (place + 0.5) / size)
    rows[0] /= np.sqrt(2)
    return rows


DOWN, ACROSS = differences(HEIGHT), differences(WIDTH)
# Second differences with mirrored borders: the negative transpose of a forward difference is a backward difference.
ROWS, COLUMNS = -DOWN.T @ DOWN, -ACROSS.T @ ACROSS


def strong_divergence(channel, threshold):
    down, across = DOWN @ channel, channel @ ACROSS.T
    strong = np.sqrt(down**2 + across**2) > threshold
    return -DOWN.T @ (down * strong) - (across * strong) @ ACROSS


def solved(channel, threshold, epsilon):
    """Solution of the dense linear system."""
    laplacian = np.kron(ROWS, np.eye(WIDTH)) + np.kron(np.eye(HEIGHT), COLUMNS)
    target = laplacian @ strong_divergence(channel, threshold).ravel() + epsilon * channel.ravel()
    matrix = laplacian @ laplacian + epsilon * np.eye(channel.size)
    return np.linalg.solve(matrix, target).reshape(channel.shape)


def transformed(channel, threshold, epsilon):
    """The specification's formula, with the transform as a matrix."""
    left, right = cosines(HEIGHT), cosines(WIDTH)
    kappa = (
        2 * (np.cos(np.pi * np.arange(HEIGHT) / HEIGHT)[:, None] + np.cos(np.pi * np.arange(WIDTH) / WIDTH)[None]) - 4
    )
    divergence = left @ strong_divergence(channel, threshold) @ right.T
    spectrum = (kappa * divergence + epsilon * (left @ channel @ right.T)) / (kappa**2 + epsilon)
    return left.T @ spectrum @ right


@pytest.fixture(scope="module")
def photo():
    """Two images of three channels: coarse blocks, which are kept, with fine texture, which is removed."""
    blocks = np.kron(networks.images(0, 2, 4, 5, 3), np.ones((1, 6, 6, 1), np.float32))[:, :HEIGHT, :WIDTH]
    return np.float32(0.8) * blocks + np.float32(0.1) * networks.images(1, 2, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("reference", "epsilon", "tolerance"), [(solved, 1e-3, 3e-7), (solved, 1e-8, 1e-6), (transformed, 1e-8, 1e-6)]
)
@pytest.mark.parametrize("threshold", [0.033, 0.1])
def test_suppress_solves_the_equation_for_each_channel(photo, reference, epsilon, tolerance, threshold):
    ours = np.asarray(suppress(photo, threshold=threshold, epsilon=epsilon))
    for image, channel in ((0, 0), (1, 2)):
        expected = reference(np.float64(photo[image, ..., channel]), threshold, epsilon)
        assert np.abs(expected - photo[image, ..., channel]).max() > 0.01
        np.testing.assert_allclose(ours[image, ..., channel], expected, atol=tolerance)


@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_nothing_is_removed_without_threshold(photo, threshold):
    np.testing.assert_array_equal(suppress(photo, threshold=threshold, epsilon=1e-8), photo)


def test_mean_brightness_is_kept(photo):
    ours = np.float64(suppress(photo, threshold=0.1, epsilon=1e-8)).mean(axis=(1, 2))
    np.testing.assert_allclose(ours, np.float64(photo).mean(axis=(1, 2)), atol=2e-8)


@pytest.mark.parametrize("frequency", [(0, 1), (1, 0), (5, 12), (HEIGHT - 1, WIDTH - 1)])
def test_cosine_is_halved_if_epsilon_is_its_squared_eigenvalue(frequency):
    down, across = frequency
    wave = np.outer(cosines(HEIGHT)[down], cosines(WIDTH)[across])
    eigenvalue = 2 * (np.cos(np.pi * down / HEIGHT) + np.cos(np.pi * across / WIDTH)) - 4
    np.testing.assert_allclose(ROWS @ wave + wave @ COLUMNS, eigenvalue * wave, atol=1e-14)
    image = np.repeat(np.float32(wave)[None, :, :, None], 2, axis=0).repeat(3, axis=3)
    ours = suppress(image, threshold=100.0, epsilon=eigenvalue**2)
    np.testing.assert_allclose(ours, image / 2, atol=1e-6)


def test_edges_are_kept_and_ramps_are_flattened():
    ramp = np.float32(0.005) * np.arange(WIDTH, dtype=np.float32)
    edge = np.where(np.arange(WIDTH) < 12, 0.2, 0.7).astype(np.float32) + ramp
    image = np.broadcast_to(edge[None, None, :, None], (2, HEIGHT, WIDTH, 3))
    ours = np.asarray(suppress(image, threshold=0.033, epsilon=1e-8))
    np.testing.assert_allclose(np.ptp(ours[:, :, :12], axis=2), 0, atol=1e-4)
    np.testing.assert_allclose(np.ptp(ours[:, :, 12:], axis=2), 0, atol=1e-4)
    np.testing.assert_allclose(ours[:, :, 12] - ours[:, :, 11], 0.505, atol=1e-4)


def test_defaults_are_those_of_the_authors_example(photo):
    np.testing.assert_allclose(suppress(photo), suppress(photo, threshold=0.033, epsilon=1e-8), atol=1e-7)
