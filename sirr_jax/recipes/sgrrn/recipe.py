"""SGRRN: one network that names the objects behind a reflection, and by their help removes it.

Liu, Li, You, Lu, ACM TOMM 2022 (arXiv 1907.11912); SGRRN specification, sections 7 to 9, 11 and 12. The first stage,
data that can be had and the scores are our design where the release leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.data.images.palettes import colorize, palette
from sirr_jax.losses.adversarial import least_squares_discriminator
from sirr_jax.losses.exclusion import exclusion
from sirr_jax.losses.segmentation import cross_entropy
from sirr_jax.losses.sgrrn import PROFILES, layer_terms
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.recipes.base import AXIS, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, label_classes
from sirr_jax.recipes.common.perceptual import SGRRN, PerceptualTerm
from sirr_jax.recipes.common.pretrained import start_from
from sirr_jax.recipes.sgrrn.batch import separation_batch
from sirr_jax.recipes.sgrrn.initialization import released_start, with_backbone
from sirr_jax.recipes.sgrrn.networks import JUDGES, SMALLEST, check, hyper_parameters, network_id
from sirr_jax.synthesis.reflection import synthesis_options
from sirr_jax.weights.model_file import StoredNetwork

_TRUTH = {"restored": "target", "reflection": "reflection"}


class Sgrrn(Recipe):
    """Generator, two discriminators if they are wanted, and their stages.

    Stages: `semantic` (our design: encoder and semantic branch learn the labels, of photographs with a reflection and
    of some without) and `joint` (all of the generator; with `config.adversarial` a step of the generator, then one of
    the discriminators). Without a semantic part in `config.decoder_mode` there is nothing to learn in the first.

    Running statistics move with every pass of the generator, also with that which the discriminators learn from.
    Dropped features depend on the sample, not on the device that it is on.
    """

    name = "sgrrn"

    def __init__(self, config: ConfigDict) -> None:
        """Build networks and stages; `config` as `configs/sgrrn.py` makes it.

        Raises:
            UserError: if the config names an unknown profile, precision, width, backbone, mode, synthesis or weight
                file, or holds a number that makes no sense.
        """
        check(config)
        dtype = DTYPES[config.compute_dtype]
        profile = PROFILES[config.profile]
        self._config = config
        self._objective = profile._replace(
            exclusion=config.exclusion, adversarial=profile.adversarial if config.adversarial else 0.0
        )
        synthesis = config.data.synthesis
        self._mixing = {
            "synthesis": synthesis.name,
            "options": synthesis_options(synthesis.name, synthesis.options.to_dict()),
            "void_is_background": profile.void_is_background,
        }
        self._model_args = hyper_parameters(config)
        self._network = {
            role: build(network_id(role), **model_args, dtype=dtype) for role, model_args in self._model_args.items()
        }
        self._learner = self._network["generator"].clone(axis_name=AXIS, momentum=config.momentum)
        self._namer = self._learner.clone(mode="OnlySemantic")
        self._semantic = bool({"Guidance", "Semantic"} & set(config.decoder_mode.split("+")))
        self._perceptual = PerceptualTerm(
            config.perceptual_weights if self._objective.perceptual > 0 else "",
            features=SGRRN,
            substitute=False,
            dtype=dtype,
        )
        share = config.data.pairs_share
        self.validation = "pairs" if share >= 1 else "labelled_pairs"
        self.targets = {"reflection": "true_reflection"}
        self.maps = ("labels", "true_labels") if self._semantic else ()
        self.panels = ("input", "restored", "target", "reflection", "true_reflection", *self.maps)
        # Real pairs have no labels to score.
        self.classes = label_classes(config) if self._semantic and share < 1 else 0
        self.notes = (self._sentence(),)
        mix = {kind: part for kind, part in (("labelled_pairs", 1.0 - share), ("pairs", share)) if part > 0}
        self.stages = tuple(stage for stage in self._stages(mix) if stage.steps > 0)

    def _stages(self, mix: dict[str, float]) -> list[Stage]:
        steps, stages = self._config.steps, []
        if self._semantic:
            learn = Update(("generator",), self._semantic_loss)
            stages.append(Stage("semantic", steps.semantic, (learn,), {"labelled_pairs": 1.0}))
        updates = [Update(("generator",), self._generator_loss)]
        if self._objective.adversarial > 0:
            updates.append(Update(tuple(role for role, _ in JUDGES.values()), self._discriminator_loss))
        return [*stages, Stage("joint", steps.joint, tuple(updates), mix)]

    def _sentence(self) -> str:
        config = self._config
        perceptual = self._perceptual.description
        if self._objective.perceptual == 0:
            perceptual = "no L_P, as it was released"
        adversarial = f"{self._objective.adversarial:g}" if config.adversarial else "no"
        start = Path(config.backbone_weights).name if config.backbone_weights else "scratch"
        return (
            f"profile {config.profile}, {adversarial} adversarial term; {perceptual}; {config.decoder_mode}; "
            f"{config.backbone} from {start}"
        )

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draw parameters, or take those that the config's files have; see `Recipe.init`."""
        config, variables = self._config, {}
        for i, (role, network) in enumerate(self._network.items()):
            own = jax.random.fold_in(key, i)
            drawn = initialize(network, own, (1, SMALLEST, SMALLEST, 3))
            if config.profile == "released":
                params = released_start(own, drawn["params"], discriminator=role != "generator")
                drawn = drawn | {"params": params}
            variables[role] = drawn
        if config.backbone_weights:
            variables["generator"] = with_backbone(
                variables["generator"], config.backbone_weights, backbone=config.backbone, width=config.width
            )
        if config.init_from:
            wanted = {role: (network_id(role), model_args) for role, model_args in self._model_args.items()}
            variables = start_from(config.init_from, wanted, variables)
        params = {role: tree["params"] for role, tree in variables.items()}
        if self._perceptual.params:
            params["vgg19"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, {"generator": variables["generator"]["batch_stats"]}

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Mix and mirror; see `separation_batch`."""
        return separation_batch(raw, key, **self._mixing, flip=train and self._config.data.flip)

    # --- losses ---------------------------------------------------------------------------------------------------

    def _learn(
        self, apply: Callable[..., Any], params: Tree, collections: Tree, batch: Tree, image: jax.Array
    ) -> tuple[Tree, Tree]:
        """A training pass: what the generator makes of images in [0, 1], and its running statistics."""
        made, moved = apply(
            {"params": params["generator"], "batch_stats": collections["generator"]},
            _signed(image),
            samples=batch["sample"],
            train=True,
            mutable=["batch_stats"],
            # The samples' numbers tell them apart: one key for all devices.
            rngs={"dropout": jax.random.key(0)},
        )
        return made, {"generator": moved["batch_stats"]}

    def _labels_loss(self, made: Tree, batch: Tree) -> jax.Array:
        return self._objective.semantic * cross_entropy(made["semantic_logits"], batch["labels"], axis_name=AXIS)

    def _semantic_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of the labels; a share of the photographs is shown without its reflection."""
        del key
        clean = batch["sample"].astype(jnp.float32) < self._config.clean_share * 2.0**32
        image = jnp.where(clean[:, None, None, None], batch["target"], batch["mixture"])
        made, moved = self._learn(self._namer.apply, params, collections, batch, image)
        loss = self._labels_loss(made, batch)
        return loss, Aux({"generator/semantic": loss}, moved)

    def _generator_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """See `sirr_jax.losses.sgrrn`."""
        del key
        made, moved = self._learn(self._learner.apply, params, collections, batch, batch["mixture"])
        terms = {}
        for layer, (role, _) in JUDGES.items():
            estimate, target = _layer(layer, made, batch)
            distance = verdict = None
            if "vgg19" in params:
                distance = self._perceptual(params["vgg19"], _unsigned(estimate), _unsigned(target))
            if self._objective.adversarial > 0:
                verdict = self._judge(role, params, estimate)
            parts = layer_terms(
                self._objective,
                estimate,
                target,
                distance=distance,
                verdict=verdict,
                batch_size=self._config.batch_size,
            )
            terms |= {f"{name}_{layer}": value for name, value in parts.items()}
        if self._semantic:
            terms["semantic"] = self._labels_loss(made, batch)
        if self._objective.exclusion > 0:
            terms["exclusion"] = self._objective.exclusion * exclusion(made["restored"], made["reflection"])
        total = sum(terms.values())
        scalars = {f"generator/{name}": value for name, value in terms.items()}
        return total, Aux({"generator/loss": total} | scalars, moved)

    def _discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Least squares of the verdicts on both layers.

        Without the released penalty of gradients, which is constant but for a trace (section 7).
        """
        del key
        made, moved = self._learn(self._learner.apply, params, collections, batch, batch["mixture"])
        made = jax.lax.stop_gradient(made)
        images = self._config.batch_size if self._objective.batch_sum else 1
        terms = {}
        for layer, (role, weight) in JUDGES.items():
            estimate, target = _layer(layer, made, batch)
            real, fake = jnp.split(self._judge(role, params, jnp.concatenate([target, estimate])), 2)
            terms[role] = weight * images * least_squares_discriminator(real, fake)
        total = sum(terms.values())
        return total, Aux({f"{role}/loss": value for role, value in terms.items()}, moved)

    def _judge(self, role: str, params: Tree, image: jax.Array) -> jax.Array:
        return self._network[role].apply({"params": params[role]}, image)["probability"]

    # --- answers --------------------------------------------------------------------------------------------------

    def _answer(self, params: Tree, collections: Tree, batch: Tree) -> Tree:
        return self._network["generator"].apply(_variables(params, collections), _signed(batch["mixture"]))

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Photograph with its reflection, both estimates with their targets, labels in colors."""
        made = self._answer(params, collections, batch)
        shown = {name: _unsigned(made[name]) for name in JUDGES}
        shown |= {"input": batch["mixture"], "target": batch["target"], "true_reflection": batch["reflection"]}
        if self._semantic:
            colors = palette(label_classes(self._config))
            labels = {"labels": made["semantic_logits"].argmax(axis=-1), "true_labels": batch["labels"]}
            shown |= {name: colorize(x, colors).astype(jnp.float32) / 255.0 for name, x in labels.items()}
        return {name: jnp.clip(shown[name], 0.0, 1.0) for name in self.panels}

    def segment(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """The true labels, and those that the network reads from the photograph with its reflection."""
        made = self._answer(params, collections, batch)
        return {"target": batch["labels"], "labels": made["semantic_logits"].argmax(axis=-1).astype(jnp.int32)}

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """The generator to use; the discriminators, apart."""
        model_args = dict(self._model_args)
        models = {
            "sgrrn": {
                "generator": StoredNetwork(
                    network_id("generator"), model_args.pop("generator"), _variables(params, collections)
                )
            }
        }
        judges = {
            role: StoredNetwork(network_id(role), own, {"params": params[role]}) for role, own in model_args.items()
        }
        return models | ({"discriminators": judges} if judges else {})


def _variables(params: Tree, collections: Tree) -> Tree:
    return {"params": params["generator"], "batch_stats": collections["generator"]}


def _layer(layer: str, made: Tree, batch: Tree) -> tuple[jax.Array, jax.Array]:
    """An estimate and its target, in [-1, 1]; where the reflection is not known, the estimate is beyond reproach."""
    estimate, target = made[layer], _signed(batch[_TRUTH[layer]])
    if layer == "reflection":
        estimate = jnp.where(batch["parted"][:, None, None, None], estimate, target)
    return estimate, target


def _signed(image: jax.Array) -> jax.Array:
    return image * 2.0 - 1.0


def _unsigned(image: jax.Array) -> jax.Array:
    return image * 0.5 + 0.5
