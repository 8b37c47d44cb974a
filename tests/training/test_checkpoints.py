"""Checkpoints: saving, restoring, damage, and resuming with a changed config."""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
from pathlib import Path

import flax.struct
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from sirr_jax.configs.dynamics import get_config

from sirr_jax.errors import UserError
from sirr_jax.training.checkpoints import Checkpoints, _checksums, _describe, flatten_config

STATE = {"a": {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, "n": np.int32(7), "count": np.zeros((), np.int32)}


def scaled(factor):
    return jax.tree.map(lambda x: (x * factor).astype(x.dtype), STATE)


@contextlib.contextmanager
def opened(folder, config=None):
    with contextlib.closing(Checkpoints(folder, config or {"x": 1}, max_to_keep=3)) as checkpoints:
        checkpoints.record_config(20, total=40)
        yield checkpoints


@pytest.fixture
def folder(tmp_path):
    with opened(tmp_path) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, scaled(step))
    return tmp_path


@pytest.fixture
def leftovers():
    """After a failed read Orbax drops coroutines of a closed event loop. Collects them while the warning is ignored."""
    yield
    gc.collect()


damaging = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def files_of(folder, step):
    return [p for p in sorted((folder / "checkpoints" / str(step)).rglob("*")) if p.is_file() and p.stat().st_size]


def test_restore_from_an_empty_folder_is_none(tmp_path):
    with opened(tmp_path) as checkpoints:
        assert checkpoints.restore(STATE) is None


def test_newest_state_is_restored_with_its_dtypes(folder):
    with opened(folder) as checkpoints:
        restored = checkpoints.restore(STATE)
    assert_equal(restored, scaled(20))
    assert [np.asarray(x).dtype for x in jax.tree.leaves(restored)] == [x.dtype for x in jax.tree.leaves(STATE)]


def test_saved_step_is_not_overwritten(folder):
    with opened(folder) as checkpoints:
        checkpoints.save(20, scaled(5))
        checkpoints.wait()
        assert_equal(checkpoints.restore(STATE), scaled(20))


@damaging
def test_damaged_checkpoint_falls_back_to_the_one_before(folder, caplog, leftovers):
    for file in files_of(folder, 20):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with opened(folder) as checkpoints:
        assert_equal(checkpoints.restore(STATE), scaled(10))
    assert any("checkpoint 20 cannot be read" in record.message for record in caplog.records)


@damaging
def test_lost_steps_are_saved_again_after_a_fallback(folder, leftovers):
    for file in files_of(folder, 20):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with opened(folder) as checkpoints:
        checkpoints.restore(STATE)
        checkpoints.save(15, scaled(15))
        checkpoints.save(20, scaled(21))
    with opened(folder) as checkpoints:
        assert_equal(checkpoints.restore(STATE), scaled(21))
    # The damaged checkpoint is kept: parts of it may be recoverable.
    assert [p.name.split("-")[0] for p in (folder / "damaged").iterdir()] == ["20"]


@damaging
def test_truncated_file_never_gives_wrong_values(folder, tmp_path_factory, leftovers):
    for file in files_of(folder, 20):
        copy = tmp_path_factory.mktemp("copy") / "run"
        shutil.copytree(folder, copy)
        truncated = copy / file.relative_to(folder)
        truncated.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with opened(copy) as checkpoints:
            restored = checkpoints.restore(STATE)
        assert any(np.array_equal(restored["a"]["w"], scaled(step)["a"]["w"]) for step in (10, 20))


@damaging
def test_no_readable_checkpoint_is_an_error(folder, leftovers):
    for step in (10, 20):
        for file in files_of(folder, step):
            file.write_bytes(b"")
    with opened(folder) as checkpoints, pytest.raises(UserError, match=r"none of the checkpoints \[20, 10\]"):
        checkpoints.restore(STATE)


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({**STATE, "n": np.float32(0)}, r"\['n'\]: int32\[\], expected float32\[\]"),
        ({**STATE, "a": {"w": np.zeros((3, 2), np.float32)}}, r"float32\[2, 3\], expected float32\[3, 2\]"),
        ({**STATE, "extra": np.zeros(2)}, r"\['extra'\]: None"),
    ],
)
def test_other_dtype_shape_or_structure_is_an_error(folder, like, message):
    with opened(folder) as checkpoints, pytest.raises(UserError, match=message):
        checkpoints.restore(like)


def test_other_config_is_an_error_and_the_old_one_is_kept(folder):
    with pytest.raises(UserError, match=r"config\.x=1, now 2"), opened(folder, {"x": 2}):
        pass
    with pytest.raises(UserError, match=r"config\.y=None, now 2"), opened(folder, {"x": 1, "y": 2}):
        pass
    with opened(folder, {"x": 1, "log_every": 5}):
        pass


def test_learning_rate_clip_and_dtype_may_change_and_are_recorded(tmp_path):
    def config(**optimizer):
        return {
            "compute_dtype": "bfloat16",
            "optimizer": {"learning_rate": 1e-3, "clip": 1.0, "name": "adam"} | optimizer,
        }

    with opened(tmp_path, config()) as checkpoints:
        checkpoints.save(20, STATE)
    with opened(tmp_path, config(learning_rate=1e-4, clip=0.5)):
        pass
    for _ in range(2):
        with opened(tmp_path, config(learning_rate=1e-4, clip=0.5) | {"compute_dtype": "float32"}):
            pass
    assert (tmp_path / "changes.txt").read_text().splitlines() == [
        "step 20: config.optimizer.clip 1.0 -> 0.5",
        "step 20: config.optimizer.learning_rate 0.001 -> 0.0001",
        "step 20: config.compute_dtype bfloat16 -> float32",
    ]
    for name, value in (("clip", 0.0), ("name", "sgd")):  # the optimizer state would have another structure
        other = config(learning_rate=1e-4, clip=0.5) | {"compute_dtype": "float32"}
        other["optimizer"][name] = value
        with pytest.raises(UserError, match=rf"config\.optimizer\.{name}=.*, now {value!r}"), opened(tmp_path, other):
            pass


def test_learning_rate_of_one_network_may_be_added_and_may_be_zero(tmp_path):
    def config(last, networks):
        return {"optimizer": {"learning_rate": 1e-3, "final_learning_rate": last, "networks": networks}}

    with opened(tmp_path, config(1e-6, {})) as checkpoints:
        checkpoints.save(20, STATE)
    with opened(tmp_path, config(0.0, {"student": {"learning_rate": 1e-4}})):
        pass
    assert (tmp_path / "changes.txt").read_text().splitlines() == [
        "step 20: config.optimizer.final_learning_rate 1e-06 -> 0.0",
        "step 20: config.optimizer.networks.student.learning_rate None -> 0.0001",
    ]


def test_finished_run_with_other_config_is_an_error(folder):
    with contextlib.closing(Checkpoints(folder, {"x": 1}, max_to_keep=3)) as checkpoints:
        checkpoints._changes = ["config.compute_dtype bfloat16 -> float32"]
        with pytest.raises(UserError, match=r"has a finished run, and now config\.compute_dtype bfloat16 -> float32"):
            checkpoints.record_config(40, total=40)


def test_config_may_change_without_checkpoints_and_models(tmp_path):
    for config in ({"x": 1}, {"x": 2}):
        with opened(tmp_path, config):
            pass
    assert (tmp_path / "config.json").read_text() == '{\n  "x": 2\n}\n'
    assert (tmp_path / "changes.txt").read_text() == "step 20: config.x 1 -> 2\n"
    (tmp_path / "models").mkdir()
    with pytest.raises(UserError, match=r"config\.x=2, now 3"), opened(tmp_path, {"x": 3}):
        pass


def test_other_processes_read_and_write_nothing(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(jax, "process_index", lambda: 1)
        with opened(folder, {"x": 2}) as checkpoints:  # process 0 refuses it
            assert checkpoints.restore(STATE) is None
            checkpoints.save(30, scaled(30))
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["10", "20"]
    assert json.loads((folder / "config.json").read_text()) == {"x": 1}


class State(flax.struct.PyTreeNode):
    step: np.ndarray
    params: dict
    ema: dict
    opt_state: dict


def network(value):
    return {"w": np.full((2, 3), value, np.float32), "b": np.array([-0.0, np.nan], np.float32)}


def state_of(step):
    """A state whose student changes with the step, and whose VGG and teacher do not."""
    params = {"student": network(step), "teacher": network(-1), "vgg19": network(-2)}
    ema = {"student": network(step / 2), "teacher": network(-3)}
    return State(np.int32(step), params, ema, {name: {"count": np.int32(step), "mu": ema[name]} for name in ema})


def frozen_state_of(step):
    state = state_of(step)
    return state.replace(opt_state=state.opt_state | {"teacher": {"count": np.int32(5), "mu": network(0)}})


@pytest.mark.parametrize("frozen", [(), ("teacher", "vgg19"), ("student", "teacher", "vgg19")])
def test_frozen_networks_are_restored_bit_for_bit(tmp_path, frozen):
    with opened(tmp_path) as checkpoints:
        checkpoints.save(10, frozen_state_of(10), frozen=frozen)
    with opened(tmp_path) as checkpoints:
        restored = checkpoints.restore(state_of(0))
    assert jax.tree.structure(restored) == jax.tree.structure(frozen_state_of(10))
    for got, expected in zip(jax.tree.leaves(restored), jax.tree.leaves(frozen_state_of(10)), strict=True):
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()


def test_frozen_networks_are_written_once(tmp_path):
    with opened(tmp_path) as checkpoints:
        for step in (10, 20, 30):
            checkpoints.save(step, frozen_state_of(step), frozen=("teacher", "vgg19"))
            checkpoints.wait()
        files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "frozen").iterdir()}
        assert len(files) == 4  # parameters of both, average and optimizer state of the teacher
        checkpoints.save(40, frozen_state_of(40), frozen=("teacher", "vgg19"))
    assert files == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "frozen").iterdir()}


def test_checkpoint_of_the_first_edition_is_read_and_followed_by_new_ones(tmp_path):
    """The first edition wrote whole states, without a list of frozen networks."""
    state = frozen_state_of(10)
    meta = {"step": 10, "version": "0.1.0", "shapes": _describe(state), "checksums": _checksums(state)}
    with contextlib.closing(ocp.CheckpointManager(tmp_path / "checkpoints")) as manager:
        manager.save(10, args=ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)))
        manager.wait_until_finished()
    with opened(tmp_path) as checkpoints:
        assert_equal(checkpoints.restore(state_of(0)), state)
        checkpoints.save(20, frozen_state_of(20), frozen=("teacher",))
    with opened(tmp_path) as checkpoints:
        assert_equal(checkpoints.restore(state_of(0)), frozen_state_of(20))


@damaging
def test_damaged_frozen_network_falls_back_to_a_checkpoint_without_it(tmp_path, caplog, leftovers):
    with opened(tmp_path) as checkpoints:
        checkpoints.save(10, state_of(10))
        checkpoints.save(20, frozen_state_of(20), frozen=("teacher",))
    for path in (tmp_path / "frozen").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with opened(tmp_path) as checkpoints:
        restored = checkpoints.restore(state_of(0))
    assert int(restored.step) == 10
    assert "is damaged); trying the one before" in caplog.text


def as_then():
    """The present config of `dynamics:tiny` with the first edition's numbers of steps."""
    config = get_config("tiny")
    config.teacher.steps, config.student.steps = 400, 800
    config.eval_every, config.log_images_every, config.checkpoint_every = 200, 600, 200
    return config.to_dict()


@pytest.fixture
def first_edition_run(tmp_path):
    """Folder of a run with a checkpoint and `config.json` of the first edition; returns also that config."""
    with opened(tmp_path, as_then()) as checkpoints:
        checkpoints.save(20, scaled(20))
    config = json.loads(Path(__file__).with_name("first_edition_config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path, config


def test_run_of_the_first_edition_resumes_with_the_present_config(first_edition_run):
    folder, _ = first_edition_run
    with opened(folder, as_then()) as checkpoints:
        assert_equal(checkpoints.restore(STATE), scaled(20))
    assert not (folder / "changes.txt").exists()
    config = json.loads((folder / "config.json").read_text())
    assert config == json.loads(json.dumps(as_then()))


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("data", "colour", 0.5, r"config\.data\.color_jitter=0\.5, now 0\.7"),
        ("data", "pipeline", "tf", r"config\.data\.loader='tf', now 'threads'"),
        ("optimiser", "kind", "rmsprop", r"config\.optimizer\.name='rmsprop', now 'adam'"),
        ("without", "transfer", True, r"config\.distill\.enabled=False, now True"),
    ],
)
def test_run_of_the_first_edition_with_another_config_is_an_error(first_edition_run, section, name, value, message):
    folder, config = first_edition_run
    config[section][name] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=message), opened(folder, as_then()):
        pass
    assert json.loads((folder / "config.json").read_text()) == config


def test_flatten_config():
    assert flatten_config({"a": {"b": 1, "c": {"d": [2]}}, "e": ""}) == {"a.b": 1, "a.c.d": [2], "e": ""}
