"""Distillation of reflection dynamics: a multi-view teacher, then a single-image student.

The names of the parts and losses and the order teacher -> freeze -> student follow the authors' poster (Zheng et al.,
ICCVW 2021). Forms, weights and schedule are our reconstruction: the paper's body and code are not public.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, cast

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
from sirr_jax.recipes.base import RECIPES, Ancestry, Aux, Recipe, Stage, Start, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_crop, check_share, check_steps, freeze
from sirr_jax.recipes.common.loss_terms import named_terms
from sirr_jax.recipes.common.perceptual import PerceptualTerm
from sirr_jax.recipes.common.pretrained import load_initial, with_parents
from sirr_jax.recipes.dynamics.batch import Augmentation, prepare_batch
from sirr_jax.recipes.dynamics.hypercolumn_weights import has_hypercolumn, read_hypercolumn
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

# Parts that a teacher initialized from its student takes over and does not train.
_FROZEN_PARTS = ("encoder", "hallucination", "hypercolumn")


@RECIPES.register("dynamics")
class Dynamics(Recipe):
    """Teacher, student, discriminator and their stages.

    Stages: `first` (pretraining of the student on single images, where the teacher is initialized from a student that
    comes from no file), `decouple` (the first `config.teacher.warm_up` of the teacher's steps: L_FD and L_VS alone),
    `teacher` (all terms), `measure` (feature statistics of the frozen teacher), `student`, `alone` (where the
    distillation ends before the training: no L_T), `adversarial` (with the GAN, after `config.student.gan_start` of
    the student's steps).
    """

    name = "dynamics"
    panels = ("input", "teacher", "student", "target")

    def __init__(self, config: ConfigDict) -> None:
        """Builds networks and stages.

        Args:
            config: config of `configs/dynamics.py`.

        Raises:
            UserError: The config names an unknown dtype, width or weight file, or contains a number that is out of
                range.
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
        self._hypercolumn = read_hypercolumn(config.student.hypercolumn)
        hypercolumn = {"hypercolumn": self._hypercolumn.convention} if self._hypercolumn else {}
        if config.teacher.init_from_student and ablate.hallucination:
            raise UserError(
                "config.teacher.init_from_student=True adds to the features of the hallucination module; set "
                "config.ablate.hallucination=False"
            )
        grown = {"grown": True} | hypercolumn if config.teacher.init_from_student else {}
        aligned = {"aligned_frames": True} if config.teacher.aligned_frames else {}
        self._model_args = {
            "teacher": {"width": config.width}
            | {name: False for name, on in switches.items() if not on}
            | aligned
            | grown,
            "student": {"width": config.width}
            | ({"hallucination": False} if ablate.hallucination else {})
            | hypercolumn,
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
        sequences, pairs = config.data.sequences_share, config.data.pairs_share
        views = {"layers": 1.0 - sequences, "sequences": sequences}
        single = student.single_image_fraction
        if self._transfers and single >= 1.0:
            raise UserError(
                f"config.student.single_image_fraction={single} leaves no sequence for the teacher; choose a fraction "
                "below 1, or config.distill.enabled=False"
            )
        if self._transfers and student.steps > 0:
            self._check_teacher()
        mixed = {kind: (1.0 - single) * share for kind, share in views.items()}
        mixed |= {"single": single * (1.0 - pairs), "pairs": single * pairs}
        views, mixed = ({k: share for k, share in mix.items() if share > 0} for mix in (views, mixed))

        stages = []
        inherits = teacher.init_from_student and not teacher.init_from
        if inherits and not student.init_from:
            if student.pretrain_steps < 1:
                raise UserError(
                    "config.teacher.init_from_student=True needs a trained student; set config.student.pretrain_steps "
                    "above 0 or give config.student.init_from"
                )
            first = (Update(("student",), functools.partial(self._student_loss, transfers=False)),)
            stages.append(Stage("first", student.pretrain_steps, first, self._single_image_mix()))
        if not teacher.init_from:
            warm_up = round(teacher.warm_up * teacher.steps) if self._has_layers or self._has_flow else 0
            start = warm_up / max(teacher.steps, 1)
            for name, steps, begin, end in (
                ("decouple", warm_up, 0.0, start),
                ("teacher", teacher.steps - warm_up, start, 1.0),
            ):
                loss = functools.partial(self._teacher_loss, restore=name == "teacher", span=(begin, end))
                start_teacher = self._begin_teacher if inherits and begin == 0.0 else None  # empty stages are left out
                stages.append(Stage(name, steps, (Update(("teacher",), loss),), views, begin=start_teacher))
        measure_steps = -(-config.student.feature_stats_samples // config.batch_size) if self._transfers else 0
        measure = (Update((), self._measure),)
        stages.append(Stage("measure", measure_steps, measure, views, begin=freeze("teacher")))

        return [*stages, *self._student_stages(mixed)]

    def _check_teacher(self) -> None:
        """Checks that the teacher is trained and that its feature statistics are measured."""
        teacher, student = self._config.teacher, self._config.student
        if teacher.steps < 1 and not teacher.init_from:
            raise UserError(
                "config.teacher.steps=0 leaves the teacher untrained; give config.teacher.init_from, or set "
                "config.distill.enabled=False"
            )
        if student.feature_stats_samples < 1:
            raise UserError(
                "config.student.feature_stats_samples=0 leaves the statistics of the teacher's features unknown; "
                "choose 1 or more, or config.distill.enabled=False"
            )

    def _student_stages(self, mixed: dict[str, float]) -> list[Stage]:
        student = self._config.student
        fades = self._transfers and student.distill_fraction < 1.0
        # The GAN takes single-image samples only.
        gan = student.weights.adversarial > 0 and student.single_image_fraction > 0
        gan_start = round(student.gan_start * student.steps) if gan else student.steps
        distill_end = round(student.distill_fraction * student.steps) if fades else gan_start
        if distill_end > gan_start:
            raise UserError(
                f"config.student.distill_fraction={student.distill_fraction} ends after the start of the GAN "
                f"(config.student.gan_start={student.gan_start}); choose a smaller fraction, or 1 for the whole "
                "training"
            )
        single_images = self._single_image_mix()
        transfers = self._transfers and not fades
        distill = functools.partial(self._student_loss, transfers=self._transfers, fades=fades)
        alone = functools.partial(self._student_loss, transfers=False)
        adversarial = functools.partial(self._student_loss, transfers=transfers, adversarial=True)
        discriminator = Update(("discriminator",), self._discriminator_loss)
        stages = [
            Stage("student", distill_end, (Update(("student",), distill),), mixed),
            Stage("alone", gan_start - distill_end, (Update(("student",), alone),), single_images),
            Stage(
                "adversarial",
                student.steps - gan_start,
                (discriminator, Update(("student",), adversarial)),
                single_images if fades else mixed,
            ),
        ]
        first = next((stage for stage in stages if stage.steps > 0), stages[0])
        return [dataclasses.replace(s, begin=self._begin_student) if s is first else s for s in stages]

    def _single_image_mix(self) -> dict[str, float]:
        pairs = self._config.data.pairs_share
        return {kind: share for kind, share in {"single": 1.0 - pairs, "pairs": pairs}.items() if share > 0}

    def _begin_teacher(self, start: Start) -> Start:
        """Copies to the teacher all parts that it shares with the student, which is frozen from here on."""
        start = freeze("student")(start)
        return _inherit(start, "teacher", "student", start.params["student"].keys() & start.params["teacher"].keys())

    def _begin_student(self, start: Start) -> Start:
        """Copies encoder and decoder of the frozen teacher to the student, unless an ablation excludes it.

        A student from a file keeps its own; the student of a teacher that was initialized from it takes the decoder.
        """
        start = freeze("teacher")(start)
        config = self._config
        if not self._transfers or (config.student.init_from and not config.teacher.init_from_student):
            return start
        own_encoder = config.teacher.init_from_student or config.ablate.encoder
        return _inherit(start, "student", "teacher", {"decoder"} if own_encoder else {"encoder", "decoder"})

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws parameters; see `Recipe.init`. Teacher and student come from files if the config names them."""
        side = 32
        shapes = {
            "teacher": (1, 3, side, side, 3),
            "student": (1, side, side, 3),
            "discriminator": (1, side, side, 3),
        }
        ancestries: dict[str, Ancestry] = {}
        self.ancestries = ancestries
        loaded = {name: tree for name in ("teacher", "student") if (tree := self._load(name, ancestries)) is not None}
        hypercolumn = self._hypercolumn if "hypercolumn" not in loaded.get("student", {}) else None
        params = loaded | {
            name: initialize(network, jax.random.fold_in(key, i), shapes[name])["params"] | loaded.get(name, {})
            for i, (name, network) in enumerate(self._network.items())
            if name not in loaded or (name == "student" and hypercolumn is not None)
        }
        if hypercolumn is not None:
            # A copy: donating the state must not delete the recipe's arrays.
            params["student"]["hypercolumn"]["vgg19"] = jax.tree.map(jnp.copy, hypercolumn.params)
            with_parents(ancestries, "student", [hypercolumn.source])
        self._inherit_ancestries(ancestries)
        if self._perceptual.params:
            params["vgg19"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, self._moments(params)

    def _inherit_ancestries(self, ancestries: dict[str, Ancestry]) -> None:
        """Adds to each network's parents those of the network that it starts from or learns from."""
        config = self._config
        pairs = []
        if config.teacher.init_from_student and not config.teacher.init_from:
            pairs.append(("teacher", "student"))
        if self._transfers:
            pairs.append(("student", "teacher"))
        for heir, source in pairs:
            if source in ancestries:
                with_parents(ancestries, heir, ancestries[source].parents)

    def _load(self, role: str, ancestries: dict[str, Ancestry] | None = None) -> Tree | None:
        """Parameters of the file that the config names for the teacher or the student; None without a file."""
        path = self._config[role].init_from
        if not path:
            return None
        name, model_args = f"dynamics/{role}", self._model_args[role]
        if role == "student" and self._hypercolumn and not has_hypercolumn(path):
            model_args = {option: value for option, value in model_args.items() if option != "hypercolumn"}
        shapes = variable_shapes(name, **model_args)
        option = f"config.{role}.init_from"
        networks = {role: (name, model_args)}
        return load_initial(path, networks, {role: shapes}, option=option, ancestries=ancestries)[role]["params"]

    def _moments(self, params: Tree) -> Tree:
        """Initial collections, before the teacher's features are measured."""
        if not self._transfers:
            return {}
        channels = params["student"]["decoder"]["deep0"]["conv1"]["bias"].shape
        names = ("knowledge_mean", "knowledge_square", "features_mean", "features_square")
        return {"teacher_moments": {"count": jnp.zeros(()), **{name: jnp.zeros(channels) for name in names}}}

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Synthesizes, augments and groups a raw batch; see `prepare_batch`."""
        data = self._config.data
        augmentation = (
            Augmentation(data.texture_prob, data.color_jitter, data.hard_negative_prob, turn=True)
            if train
            else Augmentation()
        )
        return prepare_batch(raw, key, options=self._options, augmentation=augmentation)

    # --- losses ---------------------------------------------------------------------------------------------------

    def _apply(self, name: str, params: Tree, *inputs: jax.Array, train: bool = False) -> dict[str, jax.Array]:
        outputs = self._network[name].apply({"params": params[name]}, *inputs, train=train)
        return cast(dict[str, jax.Array], outputs)

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
        """L_teacher; `span` is the part of the teacher's whole training that this stage covers, from 0 to 1."""
        del collections, key
        views, weights = batch["views"], self._config.teacher.weights
        if self._config.teacher.init_from_student:
            # The parts that come from the student stay as they are, so that K_t and K_hat remain comparable.
            frozen = {name: params["teacher"][name] for name in _FROZEN_PARTS if name in params["teacher"]}
            params = params | {"teacher": params["teacher"] | jax.lax.stop_gradient(frozen)}
        outputs = self._apply("teacher", params, views["frames"], train=True)
        terms: dict[str, jax.Array] = {}
        extra: dict[str, jax.Array] = {}
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
            # At every resolution: the fine flow cannot be learned where the coarse one is wrong.
            errors = [_flow_error(outputs, views, size) for size in ("_quarter", "_half", "")]
            done = span[0] + (span[1] - span[0]) * batch["progress"]
            until = self._config.teacher.flow_until
            decay = jnp.maximum(1.0 - done / until, 0.0) if until > 0 else 1.0
            terms["flow"] = weights.view_synthesis * weights.flow * decay * sum(errors)
            extra = {"teacher/flow_error_px": 4.0 * errors[-1]}
        total, scalars = named_terms("teacher", terms)
        return total, Aux(scalars | extra)

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
        """Mixtures and targets, the multi-view samples first, and the number of those."""
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
        """L_student without L_D; with `fades`, the weight of L_T falls to 0 by the end of the stage."""
        del key
        weights, ablate = self._config.student.weights, self._config.ablate
        images, targets, count = self._student_images(batch)
        outputs = self._apply("student", params, images)
        terms = self._content(params, weights, outputs["restored"], targets)
        if transfers:
            strength = weights.transfer * (1.0 - batch["progress"] if fades else 1.0)
            teacher = self._apply("teacher", params, batch["views"]["frames"])
            moments = collections["teacher_moments"]
            parts = {"knowledge": 0.0 if ablate.hallucination else weights.transfer_knowledge}
            parts["features"] = 0.0 if ablate.encoder else weights.transfer_features
            for name, weight in parts.items():
                if weight > 0:
                    mean, square = moments[f"{name}_mean"], moments[f"{name}_square"]
                    deviation = jnp.sqrt(jnp.maximum(square - mean * mean, 0.0))
                    distance = transfer(outputs[name][:count], teacher[name], deviation)
                    terms[f"transfer_{name}"] = strength * weight * distance
        if adversarial:
            real = self._apply("discriminator", params, targets[count:])["logits"]
            fake = self._apply("discriminator", params, outputs["restored"][count:])["logits"]
            terms["adversarial"] = weights.adversarial * relativistic_generator(real, fake)
        total, scalars = named_terms("student", terms)
        return total, Aux(scalars)

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

    # --- results --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns the middle frame, both estimates of its transmission, and the target; see `Recipe.compare`."""
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
        """Returns the student, which restores, and the teacher for further distillation."""
        del collections
        return {
            name: {name: StoredNetwork(f"dynamics/{name}", self._model_args[name], {"params": params[name]})}
            for name in ("student", "teacher")
        }


def _flow_error(outputs: Tree, views: Tree, size: str) -> jax.Array:
    """Mean error of the flows of both layers at one resolution."""
    errors = [
        flow_error(outputs[f"flow_{n}{size}"], views[f"flow_{n}"], views[f"valid_{n}"], views["flow_weight"])
        for n in "tr"
    ]
    return cast(jax.Array, sum(errors) / 2)


def _inherit(start: Start, heir: str, role: str, parts: Iterable[str]) -> Start:
    """Replaces parts of one network (`heir`) by those of another, in its moving average too."""

    def inherited(networks: Tree) -> Tree:
        # Copies: JAX cannot donate a state that contains the same buffer twice.
        copies = {part: jax.tree.map(jnp.copy, start.params[role][part]) for part in sorted(parts)}
        return networks | {heir: dict(networks[heir]) | copies} if heir in networks else networks

    return start._replace(params=inherited(start.params), ema=inherited(start.ema))
