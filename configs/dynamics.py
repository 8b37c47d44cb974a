"""Distillation of reflection dynamics: a multi-view teacher, then a single-image student.

    sirr train --config=dynamics:tiny --workdir=runs/tiny --cpu_devices=2

* `tiny`: 0.19 M / 0.10 M parameters, 64 px, embedded photographs, the model dsrnet alone; five and a half
  minutes on two CPU cores. Held-out samples: input 17.82 dB, teacher 19.90 dB, student 19.74 dB; the documentation
  explains these numbers.
* `small`: 2.50 M / 1.52 M parameters, 128 px, one accelerator; the specification's schedule, not yet run at full
  length.
* `base`: 9.70 M / 6.05 M parameters, 256 px; the specification's schedule of 100k + 100k steps, not yet run at full
  length.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config, varied


def get_config(variant: str = "base") -> ConfigDict:
    """Makes the config of a variant: "tiny", "small" or "base"."""
    config = training_config("dynamics")
    config.batch_size = 4  # samples per step, over all devices

    config.data.photos = "embedded"  # folder, .zip file, TFDS set, "embedded" or "procedural" (drawn on the device)
    config.data.texture_prob = 0.0  # probability that a layer is replaced by a procedural texture
    config.data.color_jitter = 0.5  # strength of the random color changes
    config.data.hard_negative_prob = 0.0  # probability that a transmission is defocused, hazy or mirrored in water
    config.data.sequences = ""  # real sequences: ROOT/<sequence>/{blended,transmission[,reflection]}/
    config.data.sequences_share = 0.0  # fraction of real sequences among the multi-view samples
    config.data.pairs_share = 0.0  # fraction of real pairs among the student's single images
    config.data.margin = -1  # margin of the canvas around the crop in pixels; -1 for a quarter of the crop
    config.data.synthesis = ConfigDict()  # fields of MultiviewOptions
    config.data.synthesis.model_probabilities = (0.35, 0.35, 0.15, 0.15, 0.0)  # of ceilnet, zhang, dsrnet, wen, glass
    config.data.synthesis.blur_probabilities = (0.2, 0.3, 0.5)  # of no blur, a weak one, the model's own; sum 1
    config.data.synthesis.reflectance = (0.4, 1.0)  # range of the factor on the reflection in the screen model (dsrnet)
    config.data.synthesis.baseline = (0.015, 0.08)  # range of the camera's step between frames, meters
    config.data.synthesis.minimum_parallax = 1.0  # smallest motion of the layers against each other, pixels
    config.data.synthesis.ghosting_probability = 0.3  # fraction of the mixtures with a doubled reflection
    config.data.synthesis.noise_probability = 0.5  # fraction of the mixtures with sensor noise
    config.data.synthesis.jpeg_probability = 0.3  # fraction of the mixtures compressed as JPEG

    config.pixel_loss = "l1"  # pixel error in L_R: l1 or psnr (equal gain for each decibel)
    config.teacher = ConfigDict()
    config.teacher.init_from = ""  # model file of a trained teacher to distill from; empty to train one
    config.teacher.steps = 100_000  # training steps of the teacher
    config.teacher.warm_up = 0.1  # fraction of these steps with L_FD and L_VS alone
    config.teacher.aligned_frames = False  # whether the Fusion Net also takes the frames, warped to the middle one
    config.teacher.init_from_student = False  # whether to start from the student, whose features stay frozen
    config.teacher.weights = ConfigDict()
    config.teacher.weights.reconstruction = 1.0  # weight of the pixel loss L_R
    config.teacher.weights.perceptual = 0.1  # weight of the perceptual loss L_P
    config.teacher.weights.decoupling = 0.5  # weight of the decoupling loss L_FD
    config.teacher.weights.view_synthesis = 0.5  # weight of the view synthesis loss L_VS
    config.teacher.weights.flow = 0.1  # weight of the flow error within view_synthesis
    config.teacher.flow_until = 0.5  # fraction of the steps in which that weight decays to 0; 0 for no decay

    config.distill = ConfigDict()
    config.distill.enabled = True  # whether the student learns from the teacher (L_T)

    config.student = ConfigDict()
    config.student.init_from = ""  # model file of a trained student to continue from; empty for the teacher's weights
    config.student.hypercolumn = ""  # VGG-19 weight file whose features the student also takes; empty for none
    config.student.steps = 100_000  # training steps of the student
    config.student.pretrain_steps = 0  # steps of the student before the teacher's, with teacher.init_from_student
    config.student.single_image_fraction = 0.4  # fraction of single images; the others are middle frames of sequences
    config.student.gan_start = 1 / 3  # fraction of the steps before the GAN starts
    config.student.distill_fraction = 1.0  # fraction of the steps with L_T; below 1 it decays, then single images alone
    config.student.feature_stats_samples = 1000  # samples to measure the deviation of the teacher's features
    config.student.weights = ConfigDict()
    config.student.weights.reconstruction = 1.0  # weight of the pixel loss L_R
    config.student.weights.perceptual = 0.1  # weight of the perceptual loss L_P
    config.student.weights.adversarial = 0.01  # weight of the adversarial loss; 0 for no GAN
    config.student.weights.transfer = 0.2  # weight of the distillation loss L_T
    config.student.weights.transfer_knowledge = 1.0  # weight of the multi-view features within L_T
    config.student.weights.transfer_features = 0.5  # weight of the encoder's features within L_T

    # Ablations of the specification's section 4. The first four need a new teacher.
    config.ablate = ConfigDict()
    config.ablate.mkl = False  # whether to leave out the Multi-view Knowledge Learning module of the teacher
    config.ablate.decouple_net = False  # whether to leave out the Decouple Net
    config.ablate.flow_net = False  # whether to leave out the Flow Net
    config.ablate.fusion_net = False  # whether to leave out the Fusion Net
    config.ablate.hallucination = False  # whether to leave out the hallucination module and its distillation
    config.ablate.encoder = False  # whether to leave out the distillation of the encoder
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
    config.data.max_scale = 4.0  # at 64 px, a crop needs enough context
    config.data.color_jitter = 0.7  # more variety for fifteen photographs
    # DSRNet's screen model with its own blur alone: a small network can learn it in minutes.
    config.data.synthesis.model_probabilities = (0.0, 0.0, 1.0, 0.0, 0.0)
    config.data.synthesis.blur_probabilities = (0.0, 0.0, 1.0)
    config.data.synthesis.ghosting_probability = 0.0
    config.data.synthesis.jpeg_probability = 0.0
    config.batch_size = 8
    config.teacher.steps = 240
    config.teacher.warm_up = 0.0  # one program less to compile
    config.student.steps = 480
    config.student.weights.adversarial = 0.0  # likewise; a GAN needs more steps
    config.student.feature_stats_samples = 80
    config.optimizer.learning_rate = 4e-3
    config.optimizer.final_learning_rate = 4e-5
    config.ema_decay = 0.995
    config.validation_samples = 48
    config.log_every = 20
    config.eval_every = 120
    config.log_images_every = 480
    config.checkpoint_every = 120


_VARIANTS = {"tiny": _tiny, "small": _small, "base": _base}
