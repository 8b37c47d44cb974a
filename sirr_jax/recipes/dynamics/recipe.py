"""Distilling reflection dynamics: a multi-view teacher, then a single-image student.

Names of the parts, of the losses and the order teacher -> freeze -> student are those of the authors' poster (Zheng et
al., ICCVW 2021). Forms, weights and schedule are our reconstruction: the paper's body and code are not public.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.data.from_config import multiview_options
from sirr_jax.errors import UserError
from sirr_jax.losses.adversarial import logit_margin, relativistic_discriminator, relativistic_generator
from sirr_jax.losses.decoupling import decoupling
from sirr_jax.losses.distillation import transfer
from sirr_jax.losses.pixel import ERRORS, reconstruction
from sirr_jax.losses.view_synthesis import flow_error, view_synthesis
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.recipes.base import Aux, Recipe, Stage, Start, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_crop, check_share, check_steps, freeze
from sirr_jax.recipes.common.perceptual import PerceptualTerm
from sirr_jax.recipes.common.pretrained import start_from
from sirr_jax.recipes.dynamics.batch import Augmentation, prepare_batch
from sirr_jax.recipes.dynamics.hypercolumn_weights import holds_column, read_column
from sirr_jax.weights.model_file import StoredNetwork
from sirr_jax.weights.variables import variable_shapes

_SHARES = (
    "data.pairs_share",
    "data.sequences_share",
    "teacher.warm_up",
    "teacher.flow_until",
    "student.single_image_fraction",
    "student.gan_start",
    "student.distill_fraction",
)
_COUNTS = ("teacher.steps", "student.pretrain_steps", "student.steps", "student.feature_stats_samples")

# What a grown teacher has from its student and leaves as it is.
_SEEING = ("encoder", "hallucination", "hypercolumn")


class Dynamics(Recipe):
    """Teacher, student, discriminator and their stages.

    Stages: `first` (where a teacher is to grow out of a student that comes from no file: that student, from single
    images alone), `decouple` (the first tenth of the teacher's steps: L_FD and L_VS alone), `teacher` (all terms),
    `measure` (the frozen teacher's feature statistics), `student`, `alone` (where the teacher is to let go before the
    end), `adversarial` (with the GAN, from a third of the student's steps on).
    """

    name = "dynamics"
    panels = ("input", "teacher", "student", "target")

    def __init__(self, config: ConfigDict) -> None:
        """Build networks and stages; `config` as `configs/dynamics.py` makes it.

        Raises:
            UserError: if the config names an unknown precision, width or weight file, or holds a number that makes no
                sense.
        """
        check_choice(config, "compute_dtype", DTYPES)
        check_choice(config, "pixel_loss", ERRORS)
        check_crop(config, multiple=16, least=16)
        for name in _SHARES:
            check_share(config, name)
        check_steps(config, *_COUNTS)
        dtype = DTYPES[config.compute_dtype]
        ablate = config.ablate
        self._config = config
        self._options = multiview_options(config.data)
        switches = {name: not ablate[name] for name in ("mkl", "decouple_net", "flow_net", "fusion_net")}
        self._column = read_column(config.student.hypercolumn)
        column = {"hypercolumn": self._column.convention} if self._column else {}
        if config.teacher.init_from_student and ablate.hallucination:
            raise UserError(
                "config.teacher.init_from_student=True adds to what a Hallucination sees; unset "
                "config.ablate.hallucination"
            )
        grown = {"grown": True} | column if config.teacher.init_from_student else {}
        aligned = {"aligned_frames": True} if config.teacher.aligned_frames else {}
        self._model_args = {
            "teacher": {"width": config.width}
            | {name: False for name, on in switches.items() if not on}
            | aligned
            | grown,
            "student": {"width": config.width} | ({"hallucination": False} if ablate.hallucination else {}) | column,
            "discriminator": {},
        }
        self._network = {
            name: build(f"dynamics/{name}", **model_args, dtype=dtype) for name, model_args in self._model_args.items()
        }
        self._perceptual = PerceptualTerm(config.perceptual_weights, dtype=dtype)
        self._has_layers = switches["mkl"] and switches["decouple_net"]
        self._has_flow = switches["mkl"] and switches["flow_net"]
        self._transfers = config.distill.enabled and config.student.weights.transfer > 0
        self.notes = (self._perceptual.description,)
        self.stages = tuple(stage for stage in self._stages() if stage.steps > 0)

    # --- stages ---------------------------------------------------------------------------------------------------

    def _stages(self) -> list[Stage]:
        config = self._config
        teacher, student = config.teacher, config.student
        real, pairs = config.data.sequences_share, config.data.pairs_share
        views = {"layers": 1.0 - real, "sequences": real}
        single = student.single_image_fraction
        if self._transfers and single >= 1.0:
            raise UserError(
                f"config.student.single_image_fraction={single} leaves no sequence for the teacher to see; choose a "
                "fraction below 1, or config.distill.enabled=False"
            )
        if self._transfers and student.steps > 0:
            self._check_teacher()
        mixed = {kind: (1.0 - single) * share for kind, share in views.items()}
        mixed |= {"single": single * (1.0 - pairs), "pairs": single * pairs}
        views, mixed = ({k: share for k, share in mix.items() if share > 0} for mix in (views, mixed))

        stages = []
        grows = teacher.init_from_student and not teacher.init_from
        if grows and not student.init_from:
            if student.pretrain_steps < 1:
                raise UserError(
                    "config.teacher.init_from_student=True needs a student to grow out of; set "
                    "config.student.pretrain_steps above 0 or give config.student.init_from"
                )
            first = (Update(("student",), functools.partial(self._student_loss, transfers=False)),)
            stages.append(Stage("first", student.pretrain_steps, first, self._alone()))
        if not teacher.init_from:
            warm_up = round(teacher.warm_up * teacher.steps) if self._has_layers or self._has_flow else 0
            start = warm_up / max(teacher.steps, 1)
            for name, steps, begin, end in (
                ("decouple", warm_up, 0.0, start),
                ("teacher", teacher.steps - warm_up, start, 1.0),
            ):
                loss = functools.partial(self._teacher_loss, restore=name == "teacher", span=(begin, end))
                grow = self._grow if grows and begin == 0.0 else None  # stages of no steps are left out
                stages.append(Stage(name, steps, (Update(("teacher",), loss),), views, begin=grow))
        measure_steps = -(-config.student.feature_stats_samples // config.batch_size) if self._transfers else 0
        measure = (Update((), self._measure),)
        stages.append(Stage("measure", measure_steps, measure, views, begin=freeze("teacher")))

        return [*stages, *self._student_stages(mixed)]

    def _check_teacher(self) -> None:
        """Refuse to distill from a teacher that has learned nothing, or by features whose spread is not known."""
        teacher, student = self._config.teacher, self._config.student
        if teacher.steps < 1 and not teacher.init_from:
            raise UserError(
                "config.teacher.steps=0 leaves a teacher that has learned nothing; give config.teacher.init_from, "
                "or set config.distill.enabled=False"
            )
        if student.feature_stats_samples < 1:
            raise UserError(
                "config.student.feature_stats_samples=0 leaves the spread of the teacher's features unknown; choose 1 "
                "or more, or config.distill.enabled=False"
            )

    def _student_stages(self, mixed: dict[str, float]) -> list[Stage]:
        student = self._config.student
        lets_go = self._transfers and student.distill_fraction < 1.0
        # The GAN judges single-image samples only.
        gan = student.weights.adversarial > 0 and student.single_image_fraction > 0
        judged = round(student.gan_start * student.steps) if gan else student.steps
        taught = round(student.distill_fraction * student.steps) if lets_go else judged
        if taught > judged:
            raise UserError(
                f"config.student.distill_fraction={student.distill_fraction} goes on when the GAN starts "
                f"(config.student.gan_start={student.gan_start}); choose a smaller fraction, or 1 for the whole "
                "training"
            )
        alone = self._alone()
        kept = self._transfers and not lets_go
        learn = functools.partial(self._student_loss, transfers=self._transfers, fades=lets_go)
        learn_alone = functools.partial(self._student_loss, transfers=False)
        learn_against = functools.partial(self._student_loss, transfers=kept, adversarial=True)
        discriminate = Update(("discriminator",), self._discriminator_loss)
        stages = [
            Stage("student", taught, (Update(("student",), learn),), mixed),
            Stage("alone", judged - taught, (Update(("student",), learn_alone),), alone),
            Stage(
                "adversarial",
                student.steps - judged,
                (discriminate, Update(("student",), learn_against)),
                alone if lets_go else mixed,
            ),
        ]
        first = next((stage for stage in stages if stage.steps > 0), stages[0])
        return [dataclasses.replace(s, begin=self._begin_student) if s is first else s for s in stages]

    def _alone(self) -> dict[str, float]:
        """The mix of single images alone."""
        pairs = self._config.data.pairs_share
        return {kind: share for kind, share in {"single": 1.0 - pairs, "pairs": pairs}.items() if share > 0}

    def _grow(self, start: Start) -> Start:
        """The teacher takes over all that it has in common with the student, whose training stops here."""
        start = freeze("student")(start)
        return _inherit(start, "teacher", "student", start.params["student"].keys() & start.params["teacher"].keys())

    def _begin_student(self, start: Start) -> Start:
        """Encoder and decoder from the frozen teacher, as far as the ablations leave knowledge transfer on.

        A student that comes from a file keeps its own; one that a teacher grew out of takes the decoder back.
        """
        start = freeze("teacher")(start)
        config = self._config
        if not self._transfers or (config.student.init_from and not config.teacher.init_from_student):
            return start
        own = config.teacher.init_from_student or config.ablate.encoder
        return _inherit(start, "student", "teacher", {"decoder"} if own else {"encoder", "decoder"})

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draw parameters; see `Recipe.init`. Teacher and student come from files if the config names them."""
        side = 32
        shapes = {
            "teacher": (1, 3, side, side, 3),
            "student": (1, side, side, 3),
            "discriminator": (1, side, side, 3),
        }
        given = {name: tree for name in ("teacher", "student") if (tree := self._given(name)) is not None}
        grows = self._column is not None and "hypercolumn" not in given.get("student", {})
        params = given | {
            name: initialize(network, jax.random.fold_in(key, i), shapes[name])["params"] | given.get(name, {})
            for i, (name, network) in enumerate(self._network.items())
            if name not in given or (name == "student" and grows)
        }
        if grows:
            # A copy: a donated state would take the recipe's own with it.
            params["student"]["hypercolumn"]["vgg19"] = jax.tree.map(jnp.copy, self._column.params)
        if self._perceptual.params:
            params["vgg19"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, self._moments(params)

    def _given(self, role: str) -> Tree | None:
        """The parameters of the file that the config names for the teacher or the student."""
        path = self._config[role].init_from
        if not path:
            return None
        name, model_args = f"dynamics/{role}", self._model_args[role]
        if role == "student" and self._column and not holds_column(path):
            model_args = {option: value for option, value in model_args.items() if option != "hypercolumn"}
        shapes = variable_shapes(name, **model_args)
        option = f"config.{role}.init_from"
        return start_from(path, {role: (name, model_args)}, {role: shapes}, option=option)[role]["params"]

    def _moments(self, params: Tree) -> Tree:
        """Collections before the teacher's features have been measured."""
        if not self._transfers:
            return {}
        channels = params["student"]["decoder"]["deep0"]["conv1"]["bias"].shape
        names = ("knowledge_mean", "knowledge_square", "features_mean", "features_square")
        return {"teacher_moments": {"count": jnp.zeros(()), **{name: jnp.zeros(channels) for name in names}}}

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Synthesize, augment and group a raw batch; see `prepare_batch`."""
        data = self._config.data
        augmentation = (
            Augmentation(data.texture_prob, data.color_jitter, data.hard_negative_prob, turn=True)
            if train
            else Augmentation()
        )
        return prepare_batch(raw, key, options=self._options, augmentation=augmentation)

    # --- losses ---------------------------------------------------------------------------------------------------

    def _apply(self, name: str, params: Tree, *inputs: jax.Array, train: bool = False) -> dict[str, jax.Array]:
        return self._network[name].apply({"params": params[name]}, *inputs, train=train)

    def _content(self, params: Tree, weights: ConfigDict, estimate: jax.Array, target: jax.Array) -> dict[str, Any]:
        return {
            "reconstruction": weights.reconstruction * reconstruction(estimate, target, error=self._config.pixel_loss),
            "perceptual": weights.perceptual * self._perceptual(params.get("vgg19", {}), estimate, target),
        }

    def _teacher_loss(
        self,
        params: Tree,
        collections: Tree,
        batch: Tree,
        key: jax.Array,
        *,
        restore: bool,
        span: tuple[float, float],
    ) -> tuple[jax.Array, Aux]:
        """L_teacher; `span` is the part of the teacher's whole training that this stage covers."""
        del collections, key
        views, weights = batch["views"], self._config.teacher.weights
        if (
            self._config.teacher.init_from_student
        ):  # its student's eyes stay as they are: K_t and K_hat say things alike
            seeing = {name: params["teacher"][name] for name in _SEEING if name in params["teacher"]}
            params = params | {"teacher": params["teacher"] | jax.lax.stop_gradient(seeing)}
        outputs = self._apply("teacher", params, views["frames"], train=True)
        terms, extra = {}, {}
        if restore:
            target = views["transmission"][:, 1]
            terms |= self._content(params, weights, outputs["restored"], target)
        if self._has_layers:
            terms["decoupling"] = weights.decoupling * decoupling(
                outputs, views["transmission"], views["reflection"], views["reflection_weight"]
            )
        if self._has_flow:
            flows = (outputs["flow_t"], outputs["flow_r"])
            certain = jnp.ones_like(views["reflection_weight"])
            terms["view_synthesis"] = weights.view_synthesis * view_synthesis(
                flows, (views["transmission"], views["reflection"]), (certain, views["reflection_weight"])
            )
            # At every resolution: where the coarse flow is wrong, the fine one has nothing to look at.
            errors = [
                sum(
                    flow_error(
                        outputs[f"flow_{n}{size}"], views[f"flow_{n}"], views[f"valid_{n}"], views["flow_weight"]
                    )
                    for n in "tr"
                )
                / 2
                for size in ("_quarter", "_half", "")
            ]
            done = span[0] + (span[1] - span[0]) * batch["progress"]
            until = self._config.teacher.flow_until
            decay = jnp.maximum(1.0 - done / until, 0.0) if until > 0 else 1.0
            terms["flow"] = weights.view_synthesis * weights.flow * decay * sum(errors)
            extra = {"teacher/flow_error_px": 4.0 * errors[-1]}
        total = sum(terms.values())
        scalars = {f"teacher/{name}": value for name, value in terms.items()}
        return total, Aux({"teacher/loss": total} | scalars | extra)

    def _measure(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Running means of the frozen teacher's features and of their squares, per channel."""
        del key
        outputs = self._apply("teacher", params, batch["views"]["frames"])
        moments = dict(collections["teacher_moments"])
        moments["count"] += 1.0
        for name in ("knowledge", "features"):
            x = outputs[name].astype(jnp.float32)
            for suffix, value in (("mean", x), ("square", x * x)):
                old = moments[f"{name}_{suffix}"]
                moments[f"{name}_{suffix}"] = old + (value.mean(axis=(0, 1, 2)) - old) / moments["count"]
        return jnp.zeros(()), Aux({"measure/batches": moments["count"]}, {"teacher_moments": moments})

    def _student_images(self, batch: Tree) -> tuple[jax.Array, jax.Array, int]:
        """Mixtures and targets, multi-view samples first, and how many those are."""
        parts = []
        if "views" in batch:
            parts.append((batch["views"]["frames"][:, 1], batch["views"]["transmission"][:, 1]))
        count = sum(images.shape[0] for images, _ in parts)
        if "single" in batch:
            parts.append((batch["single"]["mixture"], batch["single"]["target"]))
        images, targets = (jnp.concatenate(group) for group in zip(*parts, strict=True))
        return images, targets, count

    def _student_loss(
        self,
        params: Tree,
        collections: Tree,
        batch: Tree,
        key: jax.Array,
        *,
        transfers: bool,
        fades: bool = False,
        adversarial: bool = False,
    ) -> tuple[jax.Array, Aux]:
        """L_student without L_D; where it `fades`, the weight of L_T falls to 0 by the end of the stage."""
        del key
        weights, ablate = self._config.student.weights, self._config.ablate
        images, targets, count = self._student_images(batch)
        outputs = self._apply("student", params, images)
        terms = self._content(params, weights, outputs["restored"], targets)
        if transfers:
            strength = weights.transfer * (1.0 - batch["progress"] if fades else 1.0)
            taught = self._apply("teacher", params, batch["views"]["frames"])
            moments = collections["teacher_moments"]
            parts = {"knowledge": 0.0 if ablate.hallucination else weights.transfer_knowledge}
            parts["features"] = 0.0 if ablate.encoder else weights.transfer_features
            for name, weight in parts.items():
                if weight > 0:
                    mean, square = moments[f"{name}_mean"], moments[f"{name}_square"]
                    deviation = jnp.sqrt(jnp.maximum(square - mean * mean, 0.0))
                    distance = transfer(outputs[name][:count], taught[name], deviation)
                    terms[f"transfer_{name}"] = strength * weight * distance
        if adversarial:
            real = self._apply("discriminator", params, targets[count:])["logits"]
            fake = self._apply("discriminator", params, outputs["restored"][count:])["logits"]
            terms["adversarial"] = weights.adversarial * relativistic_generator(real, fake)
        total = sum(terms.values())
        scalars = {f"student/{name}": value for name, value in terms.items()}
        return total, Aux({"student/loss": total} | scalars)

    def _discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """L_D on the single-image samples."""
        del collections, key
        images, targets, count = self._student_images(batch)
        restored = jax.lax.stop_gradient(self._apply("student", params, images)["restored"])
        real = self._apply("discriminator", params, targets[count:])["logits"]
        fake = self._apply("discriminator", params, restored[count:])["logits"]
        loss = self._config.student.weights.adversarial * relativistic_discriminator(real, fake)
        return loss, Aux({"discriminator/loss": loss, "discriminator/margin": logit_margin(real, fake)})

    # --- answers --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Middle frame, teacher's and student's estimates of its transmission, target."""
        del collections
        views = batch["views"]
        image = views["frames"][:, 1]
        teacher = self._apply("teacher", params, views["frames"])["restored"]
        student = self._apply("student", params, image)["restored"]
        return {
            "input": image,
            "teacher": jnp.clip(teacher, 0.0, 1.0),
            "student": jnp.clip(student, 0.0, 1.0),
            "target": views["transmission"][:, 1],
        }

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """The student to use, the teacher to distill from again."""
        del collections
        return {
            name: {name: StoredNetwork(f"dynamics/{name}", self._model_args[name], {"params": params[name]})}
            for name in ("student", "teacher")
        }


def _inherit(start: Start, heir: str, role: str, parts: Iterable[str]) -> Start:
    """Parts of one network, in the place of another's of the same names, in its moving average too."""

    def inherited(networks: Tree) -> Tree:
        # Copies: the same buffer twice in a donated state is fatal.
        taken = {part: jax.tree.map(jnp.copy, start.params[role][part]) for part in sorted(parts)}
        return networks | {heir: dict(networks[heir]) | taken} if heir in networks else networks

    return start._replace(params=inherited(start.params), ema=inherited(start.ema))
