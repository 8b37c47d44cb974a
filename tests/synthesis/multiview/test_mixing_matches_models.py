"""The branch-free mixer of the multi-view generator against the single-image models of the same names.

Both get the same layers and the same drawn parameters, in double precision; mixture and residual layer agree to 1e-6.
Deliberate differences, which the tests exclude or bound:

* zhang: the multi-view vignette is a closed form at a fixed scale (the longer side of the frame covers 256 of the 560
  pixels of the published mask), at real-valued offsets. The pixel-by-pixel comparison gives both the same vignette; at
  the same scale and offset the two vignettes agree to 2e-3.
* dsrnet: the multi-view model always blends by screen, without the published share of sums.
* wen: the multi-view generator doubles any model's reflection and repeats the border, where Wen's doubled kind crops
  and stretches the image. Only the kinds in focus and out of focus are compared.
* glass: the multi-view model has constant weights for the whole image, Fresnel's model one per pixel. The comparison
  gives both the weights per pixel.
* The multi-view generator also takes lamps brighter than 1, unlike the published models; layers here are in [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.synthesis.multiview import MIXING_MODELS, MixingParameters, MultiviewOptions
from sirr_jax.synthesis.multiview.generator import _form_reflection
from sirr_jax.synthesis.multiview.mixing import compose, mask_weight, residual_reflection, vignette_weight
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, nearly_neutral_field
from sirr_jax.synthesis.reflection import (
    SYNTHESES,
    CeilnetOptions,
    DsrnetOptions,
    GlassOptions,
    WenOptions,
    ZhangOptions,
    ceilnet,
    dsrnet,
    get_synthesis,
    glass,
    wen,
    zhang,
)
from sirr_jax.synthesis.reflection.vignette import vignette
from tests.helpers.synthesis_layers import layers

HEIGHT, WIDTH = 24, 30
OPTIONS = MultiviewOptions(size=(HEIGHT, WIDTH))
SEEDS = range(4)
MODULES = {"ceilnet": ceilnet, "zhang": zhang, "dsrnet": dsrnet, "wen": wen, "glass": glass}
MODEL_OPTIONS = {
    "ceilnet": CeilnetOptions(),
    "zhang": ZhangOptions(),
    "dsrnet": DsrnetOptions(screen_probability=1.0),
    "wen": WenOptions(kind_probabilities=(0.5, 0.5, 0.0), sigma=(2.5, 5.0), shift=(0, 1)),
    "glass": GlassOptions(),
}


def neutral_parameters(seed) -> MixingParameters:
    """Parameters of no model, with a random mask and a random position in the vignette."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(FIELD_TERMS, FIELD_TERMS, 4)).astype(np.float32)
    to_unit = jnp.asarray([[1 / WIDTH, 0.0, 0.5 / WIDTH], [0.0, 1 / HEIGHT, 0.5 / HEIGHT], [0.0, 0.0, 1.0]])
    return MixingParameters(
        model=jnp.asarray(0),
        transmittance=jnp.ones(()),
        reflectance=jnp.ones(()),
        subtracted=jnp.zeros(3),
        attenuation=jnp.ones(()),
        blur_sigma=jnp.zeros(()),
        blur_radius=jnp.zeros(()),
        ghost_shift=jnp.zeros(2, jnp.int32),
        ghost_strength=jnp.ones(()),
        vignette_offset=jnp.asarray(rng.uniform(0.0, 1.15, 2), jnp.float32),
        mask_coefficients=nearly_neutral_field(jnp.asarray(noise)),
        mask_homographies=to_unit[None],
        mask_limits=jnp.asarray(OPTIONS.mask),
    )


def multiview_parameters(name, drawn, neutral) -> MixingParameters:
    """The parameters drawn by a single-image model, as parameters of the branch-free mixer."""
    params = neutral._replace(model=jnp.asarray(MIXING_MODELS.index(name)))
    if name == "glass":
        return params._replace(
            transmittance=drawn["transmittance"][None, ..., None], reflectance=drawn["reflectance"][None, ..., None]
        )
    sigma = drawn["sigma"]
    by_sigma = jnp.ceil(2.0 * sigma - 1e-5)
    radius = {"ceilnet": jnp.asarray(5.0), "dsrnet": drawn.get("radius")}.get(name, by_sigma)
    params = params._replace(blur_sigma=sigma, blur_radius=radius)
    factors = {key: drawn[key] for key in ("transmittance", "reflectance", "attenuation") if key in drawn}
    return params._replace(**factors)


@pytest.fixture
def double_precision(monkeypatch):
    """Compares formulas, not roundings: sums in float32, in another order, differ by more than 1e-6."""
    for name in MIXING_MODELS:
        monkeypatch.setattr(MODULES[name], "check_layers", lambda *_: None)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("brightness", [0.45, 1.0])
@pytest.mark.parametrize("name", MIXING_MODELS)
def test_multiview_mixing_equals_the_single_image_model(name, brightness, monkeypatch):
    for seed in SEEDS:
        transmission, reflection = (
            jnp.asarray(layer, jnp.float64) for layer in layers(seed, HEIGHT, WIDTH, brightness)
        )
        neutral = neutral_parameters(seed)
        if name == "zhang":
            monkeypatch.setattr(zhang, "vignette", lambda *_, p=neutral, **__: vignette_weight(p, HEIGHT, WIDTH))
        mask = {"mask": mask_weight(neutral, HEIGHT, WIDTH)[0].astype(jnp.float32)} if name == "wen" else {}
        expected = get_synthesis(name).synthesize(
            jax.random.key(seed), transmission, reflection, options=MODEL_OPTIONS[name], **mask
        )
        params = multiview_parameters(name, expected.parameters, neutral)
        blurred = _form_reflection(reflection, params, OPTIONS)[None]
        residual, params = residual_reflection(transmission[None], blurred, params)
        mixture = compose(transmission[None], residual, params)
        np.testing.assert_allclose(residual[0], expected.reflection, atol=1e-6)
        np.testing.assert_allclose(mixture[0], expected.mixture, atol=1e-6)
        if "subtracted" in expected.parameters:
            np.testing.assert_allclose(params.subtracted, expected.parameters["subtracted"] * np.ones(3), atol=1e-6)
        # The layers are bright enough for every term of the formulas to matter.
        assert np.std(expected.reflection) > 0.005
        if name in ("ceilnet", "zhang") and brightness == 1.0:
            assert np.all(np.asarray(expected.parameters["subtracted"]) > 0.01)


def test_closed_form_vignette_agrees_with_the_published_mask_at_the_same_scale():
    for x, y in ((0, 0), (40, 255), (300, 130)):
        params = neutral_parameters(0)._replace(vignette_offset=jnp.asarray([x / 256, y / 256]))
        published = vignette(jnp.asarray([y, x]), HEIGHT, WIDTH, longer_side=256)
        np.testing.assert_allclose(vignette_weight(params, HEIGHT, WIDTH), published, atol=2e-3)


def test_models_have_one_name_and_the_same_default_ranges():
    assert set(MIXING_MODELS) <= set(SYNTHESES)
    models = {name: get_synthesis(name).options() for name in MIXING_MODELS}
    sigmas = dict(zip(MIXING_MODELS, OPTIONS.blur_own, strict=True))
    assert [sigmas[name] for name in ("ceilnet", "zhang", "dsrnet")] == [
        models[name].sigma for name in ("ceilnet", "zhang", "dsrnet")
    ]
    assert (OPTIONS.excess_gain,) * 2 == models["ceilnet"].excess_gain
    assert OPTIONS.attenuation == models["zhang"].attenuation
    assert OPTIONS.transmittance == models["zhang"].transmittance == models["dsrnet"].transmittance
    assert OPTIONS.reflectance == models["dsrnet"].reflectance
    assert OPTIONS.mask == models["wen"].mask
