"""`sirr train`: a finished run, and errors."""

from __future__ import annotations

import json
import runpy
import signal

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import sirr_jax
from sirr_jax.cli.main import main
from sirr_jax.models import build
from sirr_jax.training.trainer import Outcome
from sirr_jax.weights.model_file import load_model
from tests.cli.conftest import CONFIG


def lines(run):
    return [json.loads(line) for line in (run / "scalars.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_stages_run_in_order(run):
    training = {line["step"]: line for line in lines(run) if any("gradient_norm" in name for name in line)}
    assert list(training) == [3, 6, 9, 12, 15, 18, 20]
    terms = {"reconstruction", "perceptual", "decoupling", "view_synthesis", "flow"}
    assert {f"teacher/{name}" for name in terms} <= training[3].keys()
    assert {"student/transfer_knowledge", "student/transfer_features"} <= training[15].keys()
    assert {"discriminator/loss", "student/adversarial"} <= training[18].keys()
    training = list(training.values())
    assert all(np.isfinite(v) for line in training for v in line.values())


@pytest.mark.slow
def test_teacher_loss_decreases(run):
    training = [line for line in lines(run) if "teacher/decoupling" in line]
    assert training[-1]["teacher/decoupling"] < 0.8 * training[0]["teacher/decoupling"]


@pytest.mark.slow
def test_untrained_student_has_the_scores_of_the_input(run):
    validation = [line for line in lines(run) if "validation/psnr/input" in line]
    first, last = validation[0], validation[-1]
    for metric in ("psnr", "ssim", "lmse", "ncc"):
        assert first[f"validation/{metric}/student"] == first[f"validation/{metric}/input"]
        assert first[f"validation/{metric}/teacher"] != first[f"validation/{metric}/input"]
    assert last["validation/psnr/student"] != last["validation/psnr/input"]
    scores = json.loads((run / "scores.json").read_text())
    assert list(scores) == ["input", "teacher", "student"]
    assert scores["student"]["psnr"] == pytest.approx(last["validation/psnr/student"])


@pytest.mark.slow
def test_panels_show_input_teacher_student_target(run):
    panel = np.asarray(Image.open(sorted((run / "panels").iterdir())[0]))
    assert panel.shape == (2 * 32 + 2, 4 * 32 + 6, 3)
    columns = [panel[:32, i * 34 : i * 34 + 32] for i in range(4)]
    np.testing.assert_array_equal(columns[0], columns[2])  # the student is untrained
    assert not np.array_equal(columns[0], columns[1])
    assert not np.array_equal(columns[0], columns[3])


@pytest.mark.slow
def test_metadata_lists_losses_and_sample_counts(run):
    metadata = (run / "metadata.txt").read_text()
    assert "perceptual loss: 3-scale gradient L1" in metadata
    assert "stage adversarial: 6 steps; 2/4 layers (asked 60%), 2/4 single (asked 40%)" in metadata
    config = json.loads((run / "config.json").read_text())
    assert config["teacher"]["steps"] == 12
    assert config["width"] == "tiny"


@pytest.mark.slow
def test_both_networks_are_exported_with_metadata(run):
    for name in ("student", "teacher"):
        model = load_model(run / "models" / f"{name}.safetensors")
        assert model.networks.keys() == {name}
        assert model.networks[name].id == f"dynamics/{name}"
        assert model.recipe == "dynamics"
        assert "3-scale gradient L1" in model.description
        image = np.random.default_rng(0).random((1, *((3,) if name == "teacher" else ()), 16, 16, 3), np.float32)
        network = build(model.networks[name].id, **model.networks[name].model_args)
        assert np.isfinite(jax.jit(network.apply)(model.networks[name].variables, image)["restored"]).all()


@pytest.mark.slow
def test_student_is_initialized_from_the_teacher(run):
    student, teacher = (load_file(run / "models" / f"{name}.safetensors") for name in ("student", "teacher"))
    shared = [name for name in student if "/encoder/" in name or ("/decoder/" in name and name.endswith("kernel"))]
    assert len(shared) > 40
    # Six steps at a learning rate of 2e-3 move no weight further than 0.02.
    for name in shared:
        assert np.abs(student[name] - teacher[name.replace("student/", "teacher/")]).max() < 0.02


@pytest.mark.slow
def test_resuming_a_finished_run_prints_scores_and_changes_nothing(run, command, capsys):
    before = (run / "models" / "student.safetensors").read_bytes()
    assert main([*command, f"--workdir={run}", "--config.eval_every=0"]) == 0
    assert (run / "models" / "student.safetensors").read_bytes() == before
    assert "student" in capsys.readouterr().out


@pytest.mark.slow
def test_restorer_loads_the_exported_student(run):
    restorer = sirr_jax.load(run / "models" / "student.safetensors")
    image = np.random.default_rng(0).integers(0, 256, (33, 50, 3), np.uint8)
    outputs = restorer(image)
    assert outputs.restored.shape == (33, 50, 3)
    assert outputs.reflection is None
    assert outputs.restored.min() >= 0
    assert outputs.restored.max() <= 1


def test_help_names_the_exit_code_of_a_stopped_run(capsys):
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert "ends with exit code 75" in text
    assert "--flagfile=FILE" in text


@pytest.fixture
def interruptible():
    """Signals are received by a handler of the test if the command does not catch them."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_exit_code_75_if_asked_to_stop_before_the_first_step(command, tmp_path, capsys, monkeypatch, number):
    monkeypatch.setattr("sirr_jax.training.trainer.create_state", lambda *arguments: signal.raise_signal(number))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    assert main([*command, f"--workdir={tmp_path / 'run'}"]) == 75
    assert f"sirr train: {number.name} before the first step; run the same command" in capsys.readouterr().err


def test_exit_code_75_if_stopped_between_steps(command, tmp_path, monkeypatch):
    monkeypatch.setattr("sirr_jax.training.trainer.train", lambda config, workdir: Outcome(workdir, 3, 20))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    assert main([*command, f"--workdir={tmp_path / 'run'}"]) == 75


@pytest.mark.parametrize("code", [75, 1])
def test_distill_script_does_not_score_the_student_of_a_run_that_has_not_finished(tmp_path, monkeypatch, code):
    script = runpy.run_path(str(CONFIG.parent.parent / "scripts" / "distill.py"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "student.safetensors").touch()
    verbs = []
    monkeypatch.setitem(script["main"].__globals__, "sirr", lambda command: verbs.append(command[0]) or code)
    monkeypatch.setattr("sys.argv", ["distill.py", f"--workdir={tmp_path}"])
    assert script["main"]() == code
    assert verbs == ["train"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=W"], "give both"),
        (["--config=CONFIG:huge", "--workdir=W"], "no variant 'huge'; choose one of tiny, small, base"),
        (["--config=missing.py", "--workdir=W"], "no config file at missing.py"),
        (
            ["--config", "missing.py:tiny", "--workdir=W"],
            "no config file at missing.py; expected --config=NAME:VARIANT",
        ),
        (["--config=dynamix:tiny", "--workdir=W"], "no config is called 'dynamix'; did you mean 'dynamics'?"),
        (
            ["--config=dynamics:tiny", "--workdir=W", "--config.optimiser.networks.student.rates=1"],
            "config.optimiser.networks.student.rates has been renamed; did you mean "
            "--config.optimizer.networks.student.lr_mults=...?",
        ),
        (
            ["--config", "dynamics:tiny", "--workdir=W", "--config.data.pipeline=memory"],
            "did you mean --config.data.loader=...?",
        ),
        (
            ["--config=dynamics:tiny", "--workdir=W", "--num_processes=2"],
            "need --coordinator_address=HOST:PORT",
        ),
        (["--config=BROKEN", "--workdir=W"], "line 2: expected ':'"),
        (["--flagfile=FLAGS"], "config.batch_size=3 cannot be divided"),
        (["--flagfile", "FLAGS", "--config.batch_size=5"], "config.batch_size=5 cannot be divided"),
        (["--flagfile=/no/flags"], "/no/flags; give --flagfile a file of flags, one a line"),
        (["--config=CONFIG:tiny", "--flagfile"], "--flagfile with no argument"),
        (
            ["--config=CONFIG:tiny", "--workdir=W", "--config.data.synthesis.model_probabilities=(1,0)"],
            "--config.data.synthesis.model_probabilities=(1,0) has length 2; expected 5 numbers",
        ),
        (["--config", "dynamics:tiny", "--workdir=W", "--config.optimizer.learning_rate", "nan"], "a finite number"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.data.photos=ONE"], "a.png is the only photograph"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.data.validation=ONE"], "a.png is the only photograph"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.data.photos=TWO"], "b.png is 60x60"),
        (
            ["--config=CONFIG:tiny", "--workdir=W", "--config.data.photos=TWO", "--config.data.on_corrupt=skip"],
            "a.png is the only photograph",
        ),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.batchsize=4"], 'Did you mean "batch_size"'),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.batch_size=many"], "many"),
        (["--config=CONFIG:tiny", "--workdir=W", "extra"], "'extra' is not a flag"),
        (["--config=CONFIG:tiny", "--workdir=W", "--unknown=1"], "unknown"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.batch_size=3"], r"config.batch_size=3 cannot be divided"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.data.photos=/no/such"], "/no/such"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.data.crop=600"], "600"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.data.loader=grain"], "expected one of tf, threads, device"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.perceptual_weights=/no.npz"], "no VGG-19 weight file"),
        (
            ["--config=CONFIG:tiny", "--workdir=W", "--config.data.sequences_share=0.5"],
            "data.sequences is empty",
        ),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.teacher.init_from=/no.safetensors"], "no model file at"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.width=huge"], "there is no width 'huge'"),
        (["--config=CONFIG:tiny", "--workdir=W", "--config.compute_dtype=half"], "choose float32 or bfloat16"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(arguments, message, tmp_path, capsys, monkeypatch, command):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    config = command[1].removeprefix("--config=").removesuffix(":tiny")
    broken = tmp_path / "broken.py"
    broken.write_text("\ndef get_config()\n    return 1\n")
    flags = tmp_path / "flags.txt"
    flags.write_text(f"# a comment\n--config=dynamics:tiny\n\n--workdir={tmp_path / 'run'}\n--config.batch_size=3\n")
    for name, sides in (("ONE", {"a": 70}), ("TWO", {"a": 70, "b": 60})):
        (tmp_path / name).mkdir()
        for photo, side in sides.items():
            Image.new("RGB", (side, side), (99, 0, 0)).save(tmp_path / name / f"{photo}.png")
    known = {"BROKEN": str(broken), "CONFIG": config, "--workdir=W": f"--workdir={tmp_path / 'run'}"}
    known |= {"FLAGS": str(flags), "ONE": str(tmp_path / "ONE"), "TWO": str(tmp_path / "TWO")}
    for name, value in known.items():
        arguments = [argument.replace(name, value) for argument in arguments]
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    error_lines = [line for line in error.splitlines() if line.startswith("sirr train: ")]
    assert len(error_lines) == 1
    assert message in error_lines[0]
    assert "Traceback" not in error
    assert not (tmp_path / "run" / "checkpoints").exists() or not any((tmp_path / "run" / "checkpoints").iterdir())
