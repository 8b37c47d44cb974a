"""The bundled student: a teacher trained on synthetic sequences, then the student.

    sirr train --config=release:gpu --workdir=runs/release --config.data.photos=photos.zip
        --config.perceptual_weights=vgg19.npz --config.student.hypercolumn=vgg19.npz

* `gpu`: width "medium", 224 px, bfloat16, photographs on the GPU. A student learns from single images; a teacher starts
  from it and adds the features of two more views; the student learns on, from the teacher for an eighth of its steps.
* `polish`: continues a student (`--config.student.init_from`) on a CPU, on single images alone; half an hour on two
  cores.
* `cpu` (default): both from scratch on a CPU: width "compact", 80 px, for photographs reduced to 320 px
  (`--side 320 --quality 95`), so that a crop contains enough context (`--cpu_devices=2`). Not run since its teacher
  takes aligned frames.

The command is one line. It needs neither TensorFlow nor a data set: photographs in a folder, a .zip file
(`python scripts/zip_photos.py photos/ --out photos.zip --side 1024 --quality 92`) or a TFDS set become sequences
inside the training step. The same command resumes a run that was stopped; a stopped run leaves its models.

The reflections resemble those of real panes: lights add in linear light ("glass"), a reflection often appears only in
its bright parts or on a part of the pane, sharp as often as blurred. One picture in eight (`gpu`: in five) has no
reflection, so that the student learns to leave such pictures unchanged. With `gpu` and `polish` a third of the
transmissions are hard negatives: defocused, hazy or mirrored in water, without a reflection of the pane.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from ml_collections import ConfigDict

from sirr_jax.training.base_config import varied


def get_config(variant: str = "cpu") -> ConfigDict:
    """Makes the config of a variant: "cpu", "gpu" or "polish"."""
    config = runpy.run_path(str(Path(__file__).with_name("dynamics.py")))["get_config"]("base")
    config.data.loader = "threads"  # tf (tf.data), threads (no TensorFlow, images cached) or device (on the GPU)
    config.data.max_scale = 2.5  # largest reduction of a photograph before it is cropped
    config.data.color_jitter = 0.4  # strength of the random color changes
    options = config.data.synthesis
    options.model_probabilities = (0.2, 0.1, 0.25, 0.1, 0.35)  # of ceilnet, zhang, dsrnet, wen, glass; sum 1
    options.blur_probabilities = (0.1, 0.25, 0.65)  # of no blur, a weak one, the model's own; sum 1
    options.transmittance = (0.95, 1.0)  # range of the factor on the transmission
    options.contrast = (1.0, 2.0)  # range of the exponent on the reflected scene; above 1, mostly its lights remain
    options.glass_reflectance = (0.1, 0.7)  # range of the factor on the reflection in glass, linear light
    options.local_probability = 0.3  # fraction of the mixtures whose reflection covers only a part of the image
    options.clean_probability = 0.125  # fraction of the mixtures without a reflection
    options.baseline = (0.045, 0.24)  # range of the camera's step, meters; 0.015 to 0.08 leaves too little parallax
    options.ghosting_probability = 0.2  # fraction of the mixtures with a doubled reflection
    options.noise_probability = 0.3  # fraction of the mixtures with sensor noise
    options.jpeg_probability = 0.2  # fraction of the mixtures compressed as JPEG
    config.student.weights.adversarial = 0.0  # weight of the adversarial loss; 0 since scores compare with the target
    config.teacher.aligned_frames = True  # whether the Fusion Net also takes the frames, warped to the middle one
    config.teacher.weights.flow = 1.0  # weight of the flow error; at the specified 0.1 the flow is learned late
    config.teacher.flow_until = 0.0  # no decay of that weight: without it, L_VS alone degrades the flow
    config.validation_samples = 48  # samples to evaluate on
    return varied(config, variant, _VARIANTS)


def _cpu(config: ConfigDict) -> None:
    config.width = "compact"
    config.data.crop = 80
    config.data.synthesis.minimum_parallax = 4.0
    config.data.max_scale = 1.6  # the photographs are already reduced
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
    config.data.min_scale = 0.5  # close-ups: a crop of a large photograph has little context
    config.data.max_scale = 2.0
    config.data.color_jitter = 0.5
    config.data.texture_prob = 0.05
    config.data.hard_negative_prob = 0.35  # otherwise content that is rare in the photographs is removed
    options = config.data.synthesis
    options.model_probabilities = (0.2, 0.1, 0.2, 0.1, 0.4)
    options.blur_probabilities = (0.2, 0.35, 0.45)  # sharper reflections: the longer training can learn them
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
    config.student.pretrain_steps = 20_000  # unused with a student from a file
    config.student.steps = 20_000
    config.student.feature_stats_samples = 480
    config.student.single_image_fraction = 0.5
    config.student.distill_fraction = 0.12  # L_R does not decrease during distillation
    config.optimizer.learning_rate = 1e-3
    config.optimizer.final_learning_rate = 1e-5
    config.log_every = 200
    config.eval_every = 0  # the GPU would wait minutes for the CPU: score the exported models
    config.log_images_every = 0
    config.checkpoint_every = 1_000


def _polish(config: ConfigDict) -> None:
    _gpu(config)
    config.compute_dtype = "float32"  # bfloat16 is not faster on a CPU
    config.data.loader = "threads"
    config.teacher.steps = 0
    config.student.pretrain_steps = 0  # it continues from a file
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
