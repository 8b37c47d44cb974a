"""Smooth random fields as short cosine series: exact at any real position, stored as a few coefficients."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

FIELD_TERMS = 5
"""Cosines per axis; half a period of the shortest wave is a quarter of the canvas."""


def random_field(noise: jax.Array) -> jax.Array:
    """Turns white noise into the coefficients of fields with mean 0 and variance 1 over the unit square.

    Args:
        noise: [FIELD_TERMS, FIELD_TERMS, C] independent standard normal values; C is the number of fields.

    Returns:
        The same shape: y frequency, x frequency, field. Amplitudes fall with frequency, so the fields resemble
        low-pass noise.
    """
    frequency = np.arange(FIELD_TERMS)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    amplitude = np.where(radius > 0, 1.0 / (1.0 + (radius / 2.0) ** 2), 0.0)
    power = np.where(frequency > 0, 0.5, 1.0)
    amplitude /= np.sqrt(np.sum(amplitude**2 * power[:, None] * power[None, :]))
    return noise * jnp.asarray(amplitude[..., None], jnp.float32)


def nearly_neutral_field(noise: jax.Array) -> jax.Array:
    """Returns the coefficients of three fields that share four fifths of their variance: glass is nearly neutral.

    Args:
        noise: [FIELD_TERMS, FIELD_TERMS, 4] independent standard normal values.

    Returns:
        [FIELD_TERMS, FIELD_TERMS, 3] coefficients, as from `random_field`.
    """
    return random_field(math.sqrt(0.8) * noise[..., 3:] + math.sqrt(0.2) * noise[..., :3])


def smooth_mask(coefficients: jax.Array, points: jax.Array, limits: jax.Array) -> jax.Array:
    """Evaluates a smooth mask between two limits (distillation specification, section 6.3, model D: Wen).

    Args:
        coefficients: [FIELD_TERMS, FIELD_TERMS, C], from `random_field`.
        points: [..., 2] positions, x before y; the canvas is the unit square.
        limits: [2] lower and upper limit.

    Returns:
        [..., C] within the limits.
    """
    return limits[0] + (limits[1] - limits[0]) * jax.nn.sigmoid(1.5 * evaluate_field(coefficients, points))


def evaluate_field(coefficients: jax.Array, points: jax.Array) -> jax.Array:
    """Evaluates fields.

    Args:
        coefficients: [FIELD_TERMS, FIELD_TERMS, C], from `random_field`.
        points: [..., 2] positions, x before y; the canvas is the unit square. Outside, the field is
            mirrored.

    Returns:
        [..., C] float32.
    """
    cosines, _ = _waves(points)
    return _series(coefficients, cosines[1], cosines[0])


def evaluate_field_slope(coefficients: jax.Array, points: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Evaluates fields together with their derivatives.

    Args:
        coefficients: [FIELD_TERMS, FIELD_TERMS, C], from `random_field`.
        points: [..., 2] positions, x before y; the canvas is the unit square.

    Returns:
        The values and the derivatives by x and by y, each [..., C].
    """
    cosines, derivatives = _waves(points)
    return (
        _series(coefficients, cosines[1], cosines[0]),
        _series(coefficients, cosines[1], derivatives[0]),
        _series(coefficients, derivatives[1], cosines[0]),
    )


def _waves(points: jax.Array) -> tuple[list[list[jax.Array]], list[list[jax.Array]]]:
    """Cosines of 0..FIELD_TERMS-1 half-waves along x and y, and their derivatives, by the angle-addition rule."""
    all_cosines, all_derivatives = [], []
    for axis in (0, 1):
        angle = jnp.pi * points[..., axis]
        first_cosine, first_sine = jnp.cos(angle), jnp.sin(angle)
        cosines, sines = [jnp.ones_like(angle)], [jnp.zeros_like(angle)]
        for _ in range(1, FIELD_TERMS):
            cosine, sine = cosines[-1], sines[-1]
            cosines.append(cosine * first_cosine - sine * first_sine)
            sines.append(sine * first_cosine + cosine * first_sine)
        all_cosines.append(cosines)
        all_derivatives.append([-jnp.pi * k * sine for k, sine in enumerate(sines)])
    return all_cosines, all_derivatives


def _series(coefficients: jax.Array, along_y: list[jax.Array], along_x: list[jax.Array]) -> jax.Array:
    channels = []
    for channel in range(coefficients.shape[-1]):
        total = jnp.zeros_like(along_x[0])
        for j, wave_y in enumerate(along_y):
            line = jnp.zeros_like(total)
            for k, wave_x in enumerate(along_x):
                line = line + coefficients[j, k, channel] * wave_x
            total = total + line * wave_y
        channels.append(total)
    return jnp.stack(channels, axis=-1)
