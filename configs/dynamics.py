"""Distill reflection dynamics: a multi-view teacher, then a single-image student.

    sirr train --config=configs/dynamics.py:tiny --workdir=runs/tiny --cpu_devices=2

A config is chosen by what follows the colon; any value can be overridden, for example
`--config.data.photos=/photos --config.batch_size=8`.

* `tiny`: 0.19 M / 0.10 M parameters, 64 px, embedded photographs, the screen model alone; about 6 minutes on two CPU
  cores. Held-out samples: input 17.82 dB, teacher 19.86 dB, student 19.67 dB; the README says how to read that.
* `small`: 2.50 M / 1.52 M parameters, 128 px, one accelerator.
* `base`: 9.70 M / 6.05 M parameters, 256 px; the specification's schedule of 100k + 100k steps.

`small` and `base` are the specification's schedule: no full-length run of them has been made yet.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied


def get_config(variant: str = "base") -> ConfigDict:
    """Make the config of a variant: "tiny", "small" or "base"."""
    config = training_config("dynamics")  # what all recipes have
    config.batch_size = 4

    config.data.photos = "embedded"  # or also "procedural": drawn on the device
    config.data.texture_prob = 0.0  # share of layers replaced by procedural textures
    config.data.color_jitter = 0.5  # strength of random color changes
    config.data.hard_negative_prob = (
        0.0  # share of transmissions made soft, hazy or mirrored in water: no reflection of a pane
    )
    config.data.sequences = ""  # ROOT/<sequence>/{blended,transmission[,reflection]}/
    config.data.sequences_share = 0.0  # of the multi-view samples
    config.data.pairs_share = 0.0  # of the student's single-image samples
    config.data.margin = -1  # of the canvas around the crop; -1 for a quarter of it
    config.data.synthesis = ConfigDict()  # fields of MultiviewOptions
    config.data.synthesis.model_probabilities = (0.35, 0.35, 0.15, 0.15, 0.0)  # CEILNet, Zhang, screen, mask, glass
    config.data.synthesis.blur_probabilities = (0.2, 0.3, 0.5)  # none, weak, the model's own
    config.data.synthesis.reflectance = (0.4, 1.0)  # factor on the reflection in the screen model
    config.data.synthesis.baseline = (0.015, 0.08)  # meters from frame to frame
    config.data.synthesis.minimum_parallax = 1.0  # pixels by which the layers move apart, at least
    config.data.synthesis.ghosting_probability = 0.3
    config.data.synthesis.noise_probability = 0.5
    config.data.synthesis.jpeg_probability = 0.3

    config.pixel_loss = "l1"  # in L_R; or "psnr", a decibel's worth the same at any distance
    config.teacher = ConfigDict()
    config.teacher.init_from = ""  # distill from this exported teacher instead of training one
    config.teacher.steps = 100_000
    config.teacher.warm_up = 0.1  # share of the steps with L_FD and L_VS alone
    config.teacher.aligned_frames = False  # show the Fusion Net the frames themselves, brought onto the middle one
    config.teacher.init_from_student = (
        False  # begin as the student, out of pretrain_steps or init_from, and add to what it sees
    )
    config.teacher.weights = ConfigDict()
    config.teacher.weights.reconstruction = 1.0
    config.teacher.weights.perceptual = 0.1
    config.teacher.weights.decoupling = 0.5
    config.teacher.weights.view_synthesis = 0.5
    config.teacher.weights.flow = 0.1  # within view_synthesis
    config.teacher.flow_until = 0.5  # share of the steps in which that weight falls to 0; 0 keeps it to the end

    config.distill = ConfigDict()
    config.distill.enabled = True  # whether the student learns from the teacher (L_T)

    config.student = ConfigDict()
    config.student.init_from = ""  # go on from this exported student rather than from the teacher's weights
    config.student.hypercolumn = ""  # VGG-19 weights: the student is shown their features too, and exported with them
    config.student.steps = 100_000
    config.student.pretrain_steps = 0  # before the teacher's, for a teacher that is to grow out of it
    config.student.single_image_fraction = 0.4  # single images; the rest are middle frames of sequences
    config.student.gan_start = 1 / 3
    config.student.distill_fraction = (
        1.0  # below 1, L_T fades away in this share of the steps; then single images alone
    )
    config.student.feature_stats_samples = 1000  # for the spread of the teacher's features
    config.student.weights = ConfigDict()
    config.student.weights.reconstruction = 1.0
    config.student.weights.perceptual = 0.1
    config.student.weights.adversarial = 0.01
    config.student.weights.transfer = 0.2
    config.student.weights.transfer_knowledge = 1.0
    config.student.weights.transfer_features = 0.5

    # Ablations of the specification's section 4. The first four need a new teacher.
    config.ablate = ConfigDict()
    for part in ("mkl", "decouple_net", "flow_net", "fusion_net", "hallucination", "encoder"):
        config.ablate[part] = False

    return varied(config, variant, _VARIANTS)


def _base(config: ConfigDict) -> None:
    del config


def _small(config: ConfigDict) -> None:
    config.width = "small"
    config.data.crop = 128


def _tiny(config: ConfigDict) -> None:
    config.width = "tiny"
    config.data.crop = 64
    config.data.loader = "threads"
    config.data.max_scale = 4.0  # at 64 px, a crop must show enough of a photograph to be understood
    config.data.color_jitter = 0.7  # fifteen photographs: make more of them
    # DSRNet's screen model with its own blur, alone: what a small network can learn from so little in minutes.
    config.data.synthesis.model_probabilities = (0.0, 0.0, 1.0, 0.0, 0.0)
    config.data.synthesis.blur_probabilities = (0.0, 0.0, 1.0)
    config.data.synthesis.ghosting_probability = 0.0
    config.data.synthesis.jpeg_probability = 0.0
    config.batch_size = 8
    config.teacher.steps = 400
    config.teacher.warm_up = 0.0  # one program less to compile
    config.student.steps = 800
    config.student.weights.adversarial = 0.0  # likewise; a GAN needs more steps than these
    config.student.feature_stats_samples = 80
    config.optimizer.learning_rate = 4e-3
    config.optimizer.final_learning_rate = 4e-5
    config.ema_decay = 0.995
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 200
    config.log_images_every = 600
    config.checkpoint_every = 200


_VARIANTS = {"tiny": _tiny, "small": _small, "base": _base}
