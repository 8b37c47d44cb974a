"""The training step: devices, micro-batches, scan, optimizers, non-finite losses."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sirr_jax.training import parallel
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import create_state, evaluation_params, learning_networks
from sirr_jax.training.train_step import Settings, build_step, scan_steps

TOGETHER = 1


@pytest.fixture
def setup(toy_config, toy_recipe):
    optimizers = {n: make_optimizer(toy_config.optimizer, n, u) for n, u in learning_networks(toy_recipe).items()}
    return toy_recipe, optimizers, create_state(toy_recipe, optimizers, jax.random.key(0))


def run_on(devices, setup, raw, *, stage=TOGETHER, grad_accum_steps=1, steps=1):
    recipe, optimizers, state = setup
    step = build_step(recipe, stage, 0, optimizers, Settings(3, grad_accum_steps, 0.9))
    count = len(devices)
    batch = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), raw)
    compiled = jax.pmap(step, parallel.AXIS, in_axes=(None, 0), out_axes=(None, None), devices=devices)
    for _ in range(steps):
        state, scalars = compiled(state, batch)
    return jax.device_get(state), jax.device_get(scalars)


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-6), a, b)


def test_two_devices_give_the_result_of_one(setup, raw_batch):
    one, scalars_one = run_on(jax.devices()[:1], setup, raw_batch(8), steps=3)
    two, scalars_two = run_on(jax.devices()[:2], setup, raw_batch(8), steps=3)
    assert_close(one, two)
    # The noise depends on the key of the device; everything else agrees.
    assert scalars_one.pop("noise") != scalars_two.pop("noise")
    assert_close(scalars_one, scalars_two)


def test_gradient_accumulation_gives_the_result_of_the_whole_batch(setup, raw_batch):
    whole, _ = run_on(jax.devices()[:2], setup, raw_batch(8), stage=0)
    split, _ = run_on(jax.devices()[:2], setup, raw_batch(8), stage=0, grad_accum_steps=4)
    assert_close(whole.params, split.params)
    # Running statistics are updated by each micro-batch: four small steps instead of one.
    assert not np.allclose(whole.collections["mean"]["x"], split.collections["mean"]["x"])


def test_scan_steps_gives_the_result_of_single_steps(setup, raw_batch):
    recipe, optimizers, state = setup
    state = jax.tree.map(np.array, state)
    raws = [parallel.shard_batch(raw_batch(8, start)) for start in (0, 8, 16)]
    step = build_step(recipe, TOGETHER, 0, optimizers, Settings(3, 1, 0.9))
    one_by_one, logged = parallel.replicate(state), []
    single, together = parallel.parallelize(step), parallel.parallelize(scan_steps(step, 3))
    for raw in raws:
        one_by_one, scalars = single(one_by_one, raw)
        logged.append(jax.device_get(scalars))
    at_once, means = together(parallel.replicate(state), jax.tree.map(lambda *x: np.stack(x, axis=1), *raws))
    assert int(at_once.step) == 3
    assert_close(jax.device_get(one_by_one), jax.device_get(at_once))
    assert_close(jax.tree.map(lambda *x: np.mean(x, axis=0), *logged), jax.device_get(means))


def test_step_matches_optax(setup, raw_batch):
    recipe, optimizers, state = setup
    raw = raw_batch(8)
    batch = recipe.prepare(raw, jax.random.key(3)) | {"progress": jnp.zeros(())}

    def loss(generator):
        params = state.params | {"generator": generator}
        return recipe._generate(params, state.collections, batch, jax.random.key(0))[0]

    generator = state.params["generator"]
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = optimizers["generator"].update(jax.grad(loss)(generator), state.opt_state["generator"], generator)
    expected = optax.apply_updates(generator, updates)
    after, _ = run_on(jax.devices()[:2], setup, raw, stage=0)
    assert_close(after.params["generator"], expected)
    decay = 0.1  # (1 + 0) / (10 + 0) < 0.9
    assert_close(after.ema["generator"]["w"], decay * generator["w"] + (1 - decay) * expected["w"])


def test_moving_average_warms_up_when_a_network_starts_and_not_in_later_stages(setup, raw_batch):
    """The generator has been trained for the 6 steps of the first stage, the discriminator has not."""
    _, _, state = setup
    before = jax.device_get(state)
    after, _ = run_on(jax.devices()[:1], setup, raw_batch(8), stage=TOGETHER)
    for name, decay in (("generator", 7 / 16), ("discriminator", 1 / 10)):
        expected = decay * before.ema[name]["w"] + (1 - decay) * after.params[name]["w"]
        np.testing.assert_allclose(after.ema[name]["w"], expected, rtol=1e-5, atol=1e-6)
        assert np.abs(after.params[name]["w"] - before.params[name]["w"]).max() > 1e-3


def test_rate_of_a_stage_scales_its_updates(setup, raw_batch):
    recipe, optimizers, state = setup
    raw, before = raw_batch(8), jax.device_get(state.params)
    whole, _ = run_on(jax.devices()[:1], setup, raw, stage=0)
    recipe.stages = (dataclasses.replace(recipe.stages[0], rate=0.1), *recipe.stages[1:])
    short, _ = run_on(jax.devices()[:1], (recipe, optimizers, state), raw, stage=0)
    steps = [after.params["generator"]["w"] - before["generator"]["w"] for after in (whole, short)]
    np.testing.assert_allclose(steps[1], 0.1 * steps[0], rtol=1e-4, atol=1e-7)
    assert np.abs(steps[0]).max() > 0.01
    # The optimizer state is that of the whole step.
    assert_close(whole.opt_state, short.opt_state)


def test_other_networks_are_bit_identical(setup, raw_batch):
    _, _, state = setup
    before = jax.device_get(state)
    after, _ = run_on(jax.devices()[:2], setup, raw_batch(8), stage=0)
    for name in ("discriminator", "target"):
        assert before.params[name]["w"].tobytes() == after.params[name]["w"].tobytes()
    assert before.collections["idle"]["x"].tobytes() == after.collections["idle"]["x"].tobytes()
    assert_close(before.opt_state["discriminator"], after.opt_state["discriminator"])
    assert before.params["generator"]["w"].tobytes() != after.params["generator"]["w"].tobytes()


def test_updates_run_as_often_as_declared_and_are_counted_over_all_stages(setup, raw_batch):
    recipe, _, _ = setup
    assert learning_networks(recipe) == {"generator": 12, "discriminator": 12}
    after, _ = run_on(jax.devices()[:2], setup, raw_batch(8))
    counts = {n: [int(x) for x in jax.tree.leaves(s) if x.dtype == np.int32] for n, s in after.opt_state.items()}
    assert set(counts["generator"]) == {1}
    assert set(counts["discriminator"]) == {2}


def test_first_non_finite_step_is_recorded(setup, toy_config, raw_batch):
    recipe, optimizers, state = setup
    recipe._poison = 20
    step = jax.pmap(
        build_step(recipe, 0, 0, optimizers, Settings(3)), parallel.AXIS, in_axes=(None, 0), out_axes=(None, None)
    )
    for start in (0, 8, 16, 24):
        state, _ = step(state, parallel.shard_batch(raw_batch(8, start)))
    assert int(state.bad_step) == 2
    assert int(state.step) == 4


def test_leaves_of_a_new_state_share_no_buffers(setup):
    _, _, state = setup
    pointers = [x.unsafe_buffer_pointer() for x in jax.tree.leaves(state)]
    assert len(set(pointers)) == len(pointers)


def test_evaluation_params_are_moving_averages_of_trained_networks(setup):
    _, _, state = setup
    state = state.replace(ema=jax.tree.map(lambda x: x + 1, state.ema))
    params = evaluation_params(state)
    assert params["generator"] is state.ema["generator"]
    assert params["target"] is state.params["target"]


@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize("grad_accum_steps", [1, 2])
def test_step_passes_the_replication_check(setup, raw_batch, stage, grad_accum_steps):
    recipe, optimizers, state = setup
    step = build_step(recipe, stage, 0, optimizers, Settings(3, grad_accum_steps))
    parallel.trace_checked(step, state, parallel.shard_batch(raw_batch(8)))
