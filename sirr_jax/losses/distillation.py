"""L_T: distance between the features of student and teacher."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def transfer(student: jax.Array, teacher: jax.Array, deviation: jax.Array) -> jax.Array:
    """Computes the L1 between features in units of the teacher's standard deviation.

    Specification, section 3 (our form).

    Args:
        student: [B, h, w, C] features of the student.
        teacher: [B, h, w, C] features of the teacher; no gradient flows into them.
        deviation: [C] standard deviation of the teacher per channel, measured once after freezing it; 1e-3 is added.

    Returns:
        float32 scalar, the mean over all entries.
    """
    scale = 1.0 / (deviation + 1e-3)[None, None, None]
    target = jax.lax.stop_gradient(teacher.astype(jnp.float32))
    return (jnp.abs(student.astype(jnp.float32) - target) * scale).mean()
