"""Sums of loss terms and their names in the log."""

from __future__ import annotations

import jax.numpy as jnp

from sirr_jax.recipes.common.loss_terms import add_terms, named_terms

TERMS = {"pixel": jnp.float32(1.5), "perceptual": jnp.float32(0.25)}


def test_add_terms_returns_the_sum():
    assert float(add_terms(TERMS)) == 1.75


def test_named_terms_returns_the_sum_and_the_scalars_to_log():
    total, scalars = named_terms("student", TERMS)
    assert float(total) == 1.75
    assert {name: float(value) for name, value in scalars.items()} == {
        "student/loss": 1.75,
        "student/pixel": 1.5,
        "student/perceptual": 0.25,
    }
