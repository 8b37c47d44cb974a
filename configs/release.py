"""Train the student that the package carries: a teacher on synthetic sequences, then the student.

    sirr train --config=configs/release.py:gpu --workdir=runs/release --config.data.photos=photos.zip
        --config.perceptual_weights=vgg19.npz --config.student.hypercolumn=vgg19.npz

(on one line). It needs neither TensorFlow nor a data set: photographs in a folder, a .zip file
(`python scripts/zip_photos.py photos/ --out photos.zip --side 1024 --quality 92`) or a packed set become sequences
inside the training step. The same command goes on where it was stopped, and a run that is stopped leaves its models.

* `gpu`: width "medium", 224 px, bfloat16, photographs held by the GPU. A student learns from single images; a teacher
  grows out of it, adding what two more views tell; the student learns on, from the teacher for an eighth of its steps.
* `polish`: goes on from a student (`--config.student.init_from`) on a CPU, on single images alone; half an hour on
  two cores.
* `cpu` (default): both from scratch on a CPU: width "compact", 80 px, for photographs reduced to 320 px
  (`--side 320 --quality 95`), so that a crop shows what it is a part of (`--cpu_devices=2`); not run since
  its teacher sees the frames aligned.

The reflections are made to resemble those of real panes: lights add in linear light ("glass"), often what is
reflected shows in its bright parts or on a part of the pane only, sharp as often as blurred; and one picture in eight
(`gpu`: in five) has no reflection, so that the student learns to leave such pictures alone. With `gpu` and `polish` a
third of what lies behind the pane is soft, hazy or mirrored in water, which is no reflection either.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from ml_collections import ConfigDict

from sirr_jax.training.base_config import varied


def get_config(variant: str = "cpu") -> ConfigDict:
    """Make the config of a variant: "cpu", "gpu" or "polish"."""
    config = runpy.run_path(str(Path(__file__).with_name("dynamics.py")))["get_config"]("base")
    config.data.loader = "threads"
    config.data.max_scale = 2.5
    config.data.color_jitter = 0.4
    options = config.data.synthesis
    options.model_probabilities = (0.2, 0.1, 0.25, 0.1, 0.35)  # CEILNet, Zhang, screen, mask, glass
    options.blur_probabilities = (0.1, 0.25, 0.65)  # none, weak, the model's own
    options.transmittance = (0.95, 1.0)
    options.contrast = (1.0, 2.0)
    options.glass_reflectance = (0.1, 0.7)
    options.local_probability = 0.3
    options.clean_probability = 0.125
    options.baseline = (0.045, 0.24)  # a hand's sweep: with the default's 15 to 80 mm, other views tell next to nothing
    options.ghosting_probability = 0.2
    options.noise_probability = 0.3
    options.jpeg_probability = 0.2
    config.student.weights.adversarial = 0.0  # it is scored against the target
    config.teacher.aligned_frames = True
    config.teacher.weights.flow = 1.0  # at the specification's 0.1 the flow is learned late, if at all
    config.teacher.flow_until = 0.0  # and once nobody tells it, L_VS alone undoes it
    config.validation_samples = 48
    return varied(config, variant, _VARIANTS)


def _cpu(config: ConfigDict) -> None:
    config.width = "compact"
    config.data.crop = 80
    config.data.synthesis.minimum_parallax = 4.0
    config.data.max_scale = 1.6  # the photographs have been reduced already
    config.batch_size = 10
    config.teacher.steps = 3_000
    config.student.steps = 6_000
    config.student.feature_stats_samples = 400
    config.student.single_image_fraction = 0.5
    config.optimizer.learning_rate = 2e-3
    config.optimizer.final_learning_rate = 2e-5
    config.log_every = 50
    config.eval_every = 500
    config.log_images_every = 2_000
    config.checkpoint_every = 250


def _gpu(config: ConfigDict) -> None:
    config.width = "medium"
    config.compute_dtype = "bfloat16"
    config.pixel_loss = "psnr"
    config.data.loader = "device"
    config.data.crop = 224
    config.data.min_scale = 0.5  # close-ups too: few photographs, and a crop of a large one shows little
    config.data.max_scale = 2.0
    config.data.color_jitter = 0.5
    config.data.texture_prob = 0.05
    config.data.hard_negative_prob = 0.35  # or what few photographs never show is taken for a reflection
    options = config.data.synthesis
    options.model_probabilities = (0.2, 0.1, 0.2, 0.1, 0.4)
    options.blur_probabilities = (0.2, 0.35, 0.45)  # sharper: there is the time to learn it
    options.clean_probability = 0.2
    options.transmittance = (0.9, 1.0)
    options.glass_reflectance = (0.05, 0.6)
    options.ghosting_probability = 0.3
    options.minimum_parallax = 8.0
    config.batch_size = 16
    config.scan_steps = 10
    config.teacher.init_from_student = True
    config.teacher.steps = 7_000
    config.teacher.warm_up = 0.0  # one program less to compile
    config.student.pretrain_steps = 20_000  # none where it comes from a file
    config.student.steps = 20_000
    config.student.feature_stats_samples = 480
    config.student.single_image_fraction = 0.5
    config.student.distill_fraction = 0.12  # L_R does not fall meanwhile
    config.optimizer.learning_rate = 1e-3
    config.optimizer.final_learning_rate = 1e-5
    config.log_every = 200
    config.eval_every = 0  # minutes that the GPU would wait for the processor: score what it exports
    config.log_images_every = 0
    config.checkpoint_every = 1_000


def _polish(config: ConfigDict) -> None:
    _gpu(config)
    config.compute_dtype = "float32"  # a CPU is no faster with less
    config.data.loader = "threads"
    config.teacher.steps = 0
    config.student.pretrain_steps = 0  # it goes on from a file
    config.distill.enabled = False
    config.data.crop = 160
    config.batch_size = 4
    config.scan_steps = 1
    config.student.single_image_fraction = 1.0
    config.student.steps = 1_300
    config.optimizer.learning_rate = 4e-4
    config.log_every = 50
    config.checkpoint_every = 200


_VARIANTS = {"cpu": _cpu, "gpu": _gpu, "polish": _polish}
