"""Licenses of weights that come from others."""

from __future__ import annotations

import pytest

from sirr_jax.weights.license import derived_license, is_non_commercial
from sirr_jax.weights.model_file import Parent


def parent(name, license_):
    return Parent(name, license_, "0" * 64)


def test_weights_without_parents_are_the_users():
    assert derived_license([]) == "the user's"
    assert derived_license([parent("dynamics/student", "the user's")]) == "the user's"


def test_all_parents_are_named_once():
    parents = [parent("vgg19", "CC BY 4.0"), parent("errnet/generator", "MIT"), parent("vgg19", "CC BY 4.0")]
    assert derived_license(parents) == "the user's; CC BY 4.0 (from vgg19); MIT (from errnet/generator)"
    assert "none stated (from x)" in derived_license([parent("x", "")])


@pytest.mark.parametrize("license_", ["CC-BY-NC-4.0", "CC BY-NC-SA 4.0", "non-commercial use only", "noncommercial"])
def test_children_of_non_commercial_weights_are_non_commercial(license_):
    assert is_non_commercial(license_)
    child = derived_license([parent("vgg19", "CC BY 4.0"), parent("sgrrn/generator", license_)])
    assert is_non_commercial(child)
    assert license_ in child
    assert "the user's" not in child
    assert is_non_commercial(derived_license([parent("child", child)]))


@pytest.mark.parametrize("license_", ["MIT", "CC BY 4.0", "BSD-3-Clause", "the user's", "INCLUSIVE", ""])
def test_other_licenses_are_not(license_):
    assert not is_non_commercial(license_)
