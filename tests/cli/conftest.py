"""One short training run, shared by the tests that read its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from sirr_jax.cli.main import main

CONFIG = Path(__file__).parent.parent.parent / "configs" / "dynamics.py"
SIZE = 32

OVERRIDES = (
    f"--config.data.crop={SIZE}",
    "--config.batch_size=4",
    "--config.teacher.steps=12",
    "--config.teacher.warm_up=0",
    "--config.student.steps=6",
    "--config.student.gan_start=0",  # saves the compilation of one program
    "--config.student.weights.adversarial=0.01",
    "--config.student.feature_stats_samples=8",
    "--config.validation_samples=2",
    "--config.log_every=3",
    "--config.eval_every=100",
    "--config.log_images_every=100",
    "--config.checkpoint_every=100",
)


@pytest.fixture(scope="session")
def command():
    """Arguments of `sirr train` for this run, without --workdir."""
    return ["train", f"--config={CONFIG}:tiny", *OVERRIDES]


@pytest.fixture(scope="session")
def run(tmp_path_factory, command):
    """Folder of a finished run: teacher, frozen teacher, student, GAN, export."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        assert main([*command, f"--workdir={folder}"]) == 0
    return folder
