"""L_T: the student's features should be the teacher's."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def transfer(student: jax.Array, teacher: jax.Array, deviation: jax.Array) -> jax.Array:
    """L1 between features in units of the teacher's spread.

    Args:
        student: [B, h, w, C].
        teacher: [B, h, w, C]; carries no gradient.
        deviation: [C], the teacher's standard deviation per channel, measured once after freezing it; 1e-3 is added.

    Returns:
        The mean over everything. Specification, section 3 (our form).
    """
    scale = 1.0 / (deviation + 1e-3)[None, None, None]
    target = jax.lax.stop_gradient(teacher.astype(jnp.float32))
    return (jnp.abs(student.astype(jnp.float32) - target) * scale).mean()
