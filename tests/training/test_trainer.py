"""The training loop: resuming, stages, evaluation, errors."""

from __future__ import annotations

import json
import signal

import jax
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.training import trainer
from sirr_jax.training.checkpoints import Checkpoints
from sirr_jax.training.metric_logger import MetricLogger
from sirr_jax.training.metric_writers import Writer
from sirr_jax.weights.model_file import load_model

TOTAL = 12


@pytest.fixture
def saved(monkeypatch):
    """Step -> saved state."""
    states = {}
    save = Checkpoints.save

    def keep(self, step, state, **options):
        states[step] = state
        return save(self, step, state, **options)

    monkeypatch.setattr(Checkpoints, "save", keep)
    return states


def assert_same_bits(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x.view(np.uint8), y.view(np.uint8)), *map(_flat, (a, b)))


def _flat(state):
    return [np.atleast_1d(x) for x in jax.tree.leaves(state)]


def test_resumed_run_is_bit_identical(toy_config, tmp_path, saved, monkeypatch):
    toy_config.grad_accum_steps = 2
    trainer.train(toy_config, tmp_path / "whole")
    whole = saved[TOTAL]
    saved.clear()

    append = MetricLogger.append
    calls = []

    def interrupt(self, scalars):
        calls.append(scalars)
        if len(calls) in (3, 8):  # once in each stage, not at regular checkpoints
            signal.raise_signal(signal.SIGTERM)
        append(self, scalars)

    monkeypatch.setattr(MetricLogger, "append", interrupt)
    stopped = trainer.train(toy_config, tmp_path / "parts")
    assert (stopped.step, stopped.total, stopped.finished) == (3, TOTAL, False)
    assert max(saved) == 3
    model = load_model(tmp_path / "parts" / "models" / "toy.safetensors")  # as trained so far
    weights = model.networks["student"].variables["params"]["w"]
    np.testing.assert_array_equal(weights, saved[3].ema["generator"]["w"])
    trainer.train(toy_config, tmp_path / "parts")
    assert max(saved) == 8
    assert trainer.train(toy_config, tmp_path / "parts").finished
    assert max(saved) == TOTAL
    assert len(calls) == TOTAL
    assert_same_bits(whole, saved[TOTAL])


def test_scan_steps_trains_as_single_steps(toy_config, tmp_path, saved):
    trainer.train(toy_config, tmp_path / "alone")
    alone = saved[TOTAL]
    saved.clear()
    toy_config.scan_steps = 2
    trainer.train(toy_config, tmp_path / "together")
    assert sorted(saved) == [2, 4, 6, 8, 10, TOTAL]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), alone, saved[TOTAL])
    lines = [(tmp_path / name / "scalars.jsonl").read_text().splitlines() for name in ("alone", "together")]
    for one, other in zip(*(map(json.loads, group) for group in lines), strict=True):
        assert one.keys() - {"images_per_second"} == other.keys() - {"images_per_second"}
        assert one["progress"] == pytest.approx(other["progress"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scan_steps": 4}, "=4 does not divide the 6 steps of stage alone"),
        ({"scan_steps": 3}, r"=3 does not divide config\.log_every=2; change one of them, or set it to 1"),
    ],
)
def test_scan_steps_must_divide_stages_and_intervals(toy_config, tmp_path, values, message):
    toy_config.update(values)
    with pytest.raises(UserError, match=r"config\.scan_steps" + message):
        trainer.train(toy_config, tmp_path)


def test_stage_begins_from_the_moving_average_of_the_one_before(toy_config, tmp_path, saved):
    toy_config.optimizer.learning_rate = toy_config.optimizer.final_learning_rate = 1e-30
    trainer.train(toy_config, tmp_path)
    first, last = saved[6], saved[TOTAL]
    np.testing.assert_allclose(last.params["generator"]["w"], first.ema["generator"]["w"] + 1, rtol=1e-6)
    assert int(first.stage) == 0
    assert int(last.stage) == 1


def test_files_of_a_run(toy_config, tmp_path):
    trainer.train(toy_config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert {"generator/loss", "gradient_norm/generator", "time"} <= lines[0].keys()
    assert "discriminator/loss" not in lines[0]
    assert "discriminator/loss" in lines[-1]
    # Means of two steps: progress 0/6 and 1/6, then 4/6 and 5/6.
    np.testing.assert_allclose([lines[0]["progress"], lines[2]["progress"]], [1 / 12, 9 / 12], rtol=1e-6)
    assert json.loads((tmp_path / "config.json").read_text())["optimizer"]["clip"] == 1.0
    assert "8/8 layers" in (tmp_path / "metadata.txt").read_text()
    assert (tmp_path / "models" / "toy.safetensors").exists()
    assert sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir()) == [8, 10, 12]


def test_networks_that_a_stage_does_not_train_are_written_once(toy_config, tmp_path):
    trainer.train(toy_config, tmp_path)
    # Stage 1 trains the generator alone: parameters, average and optimizer state of the discriminator are frozen, and
    # the target always is. The average equals the parameters then, so both are one file.
    assert len(list((tmp_path / "frozen").iterdir())) == 3


def test_steps_after_the_last_checkpoint_are_not_logged_twice(toy_config, tmp_path, monkeypatch):
    toy_config.checkpoint_every = 4

    class Killed(BaseException):
        pass

    scalars = Writer.scalars

    def kill(self, step, values):
        scalars(self, step, values)
        if step == 10:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "scalars", kill)
        with pytest.raises(Killed):
            trainer.train(toy_config, tmp_path)
    with (tmp_path / "scalars.jsonl").open("a") as file:
        file.write('{"step": 10, "ti')
    trainer.train(toy_config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]


def test_devices_are_compared_when_a_stage_ends(toy_config, tmp_path, monkeypatch):
    def disagree(state):
        raise RuntimeError("devices disagree about .step")

    monkeypatch.setattr(trainer.parallel, "check_replicas", disagree)
    with pytest.raises(RuntimeError, match="devices disagree"):
        trainer.train(toy_config, tmp_path)
    assert not any((tmp_path / "checkpoints").iterdir())


def test_resuming_a_finished_run_saves_nothing(toy_config, tmp_path, saved):
    trainer.train(toy_config, tmp_path)
    saved.clear()
    trainer.train(toy_config, tmp_path)
    assert not saved


def test_non_finite_loss_stops_the_run_and_names_the_step(toy_config, tmp_path):
    toy_config.poison = 8 * 7 + 3  # a sample of step 7
    with pytest.raises(FloatingPointError, match="not finite at step 7;"):
        trainer.train(toy_config, tmp_path)
    assert max(int(p.name) for p in (tmp_path / "checkpoints").iterdir()) == 6


def test_workdir_of_another_config_is_an_error(toy_config, tmp_path):
    trainer.train(toy_config, tmp_path)
    toy_config.log_every = 3  # may change
    trainer.train(toy_config, tmp_path)
    toy_config.optimizer.b1 = 0.5
    with pytest.raises(UserError, match=r"config\.optimizer\.b1=0\.9, now 0\.5; choose another --workdir"):
        trainer.train(toy_config, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["optimizer"]["b1"] == 0.9


def test_config_of_a_run_that_never_started_may_change(toy_config, tmp_path):
    toy_config.eval_every, toy_config.protocol = 12, "psnr"
    with pytest.raises(UserError, match=r"config\.protocol is 'psnr'"):
        trainer.train(toy_config, tmp_path)
    toy_config.protocol, toy_config.batch_size = "rgb", 4
    trainer.train(toy_config, tmp_path)
    assert (tmp_path / "scores.json").exists()
    assert not (tmp_path / "panels").exists()


def test_no_validation_data_are_needed_without_scores_and_panels(toy_config, tmp_path, monkeypatch):
    def refuse(data, kind, count, *, seed):
        raise UserError("config.data.validation is empty; set config.eval_every=0 and config.log_images_every=0")

    monkeypatch.setattr("sirr_jax.training.evaluator.validation_batch", refuse)
    toy_config.eval_every, toy_config.log_images_every = 0, 2
    with pytest.raises(UserError, match=r"config\.log_images_every=0"):
        trainer.train(toy_config, tmp_path)
    toy_config.log_images_every = 0
    trainer.train(toy_config, tmp_path)


def test_panels_without_scores(toy_config, tmp_path):
    toy_config.log_images_every = 4
    trainer.train(toy_config, tmp_path)
    steps = sorted(int(path.stem.rpartition("-")[2]) for path in (tmp_path / "panels").iterdir())
    assert steps == [4, 6, 8, 12]  # and at the end of each stage
    assert not (tmp_path / "scores.json").exists()


def test_run_resumes_with_a_lower_learning_rate_after_a_non_finite_loss(toy_config, tmp_path, saved):
    toy_config.poison = 8 * 7 + 3
    with pytest.raises(FloatingPointError, match=r"Go on from there with a lower config\.optimizer\.learning_rate"):
        trainer.train(toy_config, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    toy_config.poison = -1  # simulates the effect of the lower rate; config.json gets the same value
    (tmp_path / "config.json").write_text(json.dumps(config | {"poison": -1}))
    toy_config.optimizer.learning_rate = 0.04
    trainer.train(toy_config, tmp_path)
    assert max(saved) == TOTAL
    assert (tmp_path / "changes.txt").read_text() == "step 6: config.optimizer.learning_rate 0.05 -> 0.04\n"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_to_keep", 0, "expected 1 or more"),
        ("log_every", 0, "expected 1 or more"),
        ("grad_accum_steps", 0, "expected 1 or more"),
        ("scan_steps", 0, "expected 1 or more"),
        ("validation_samples", 0, "expected 1 or more"),
        ("checkpoint_every", -1, r"expected 0 \(never\) or more"),
        ("ema_decay", 1.0, "expected 0 or more and less than 1"),
    ],
)
def test_numbers_out_of_range_are_errors(toy_config, tmp_path, name, value, message):
    toy_config[name] = value
    with pytest.raises(UserError, match=rf"config\.{name}={value}: {message}"):
        trainer.train(toy_config, tmp_path)


def test_batch_size_must_be_divisible_by_devices_and_micro_batches(toy_config, tmp_path):
    toy_config.batch_size = 6
    toy_config.grad_accum_steps = 2
    with pytest.raises(UserError, match=r"config\.batch_size=6 .* = 4; choose a multiple of 4"):
        trainer.train(toy_config, tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_unwritable_workdir_is_an_error(toy_config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to workdir"):
        trainer.train(toy_config, tmp_path / "file" / "run")


def test_zero_steps_are_an_error(toy_config, tmp_path):
    toy_config.steps = 0
    with pytest.raises(UserError, match="0 training steps"):
        trainer.train(toy_config, tmp_path)


def test_progress_is_logged_without_a_terminal(toy_config, tmp_path, caplog):
    caplog.set_level("INFO", logger="sirr_jax")
    trainer.train(toy_config, tmp_path)
    assert any("together step 12/12" in record.message for record in caplog.records)


def test_pairs_that_no_stage_trains_on_are_an_error(toy_config, tmp_path):
    toy_config.data.pairs_share = 0.5
    with pytest.raises(UserError, match=r"config\.data\.pairs_share=0\.5, but no stage of toy trains on real pairs"):
        trainer.train(toy_config, tmp_path)
    toy_config.data.update({"pairs_share": 0.0, "pairs": "/pairs"})
    with pytest.raises(
        UserError, match=r"data\.pairs=/pairs is set but not used: config\.data\.pairs_share=0\.0; leave it empty"
    ):
        trainer.train(toy_config, tmp_path)


def test_maps_are_displayed_and_not_scored(toy_config, tmp_path, monkeypatch):
    recipe = trainer.get_recipe("toy")
    monkeypatch.setattr(recipe, "panels", ("input", "map", "target"))
    monkeypatch.setattr(recipe, "maps", ("map",))
    compare = recipe.compare

    def with_map(self, params, collections, batch):
        assert collections["mean"]["x"].shape == (5,)
        images = compare(self, params, collections, batch)
        return images | {"map": images["input"]}

    monkeypatch.setattr(recipe, "compare", with_map)
    drawn = []
    monkeypatch.setattr(Writer, "panel", lambda self, step, name, sheet: drawn.append((name, sheet)))
    toy_config.eval_every = toy_config.log_images_every = TOTAL
    toy_config.protocol = "y"
    trainer.train(toy_config, tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores.keys() == {"input"}
    assert scores["input"].keys() == {"psnr", "ssim"}
    panels = [image for name, image in drawn if name == "validation"]
    assert panels[-1].shape[1] > 3 * 20
    toy_config.protocol = "z"
    with pytest.raises(
        UserError, match=r"config\.protocol is 'z'; choose one of errnet, ntire, rgb, srnet, windowseat, y"
    ):
        trainer.train(toy_config, tmp_path / "other")
