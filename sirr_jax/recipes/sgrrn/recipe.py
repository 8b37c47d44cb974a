"""SGRRN: one network that segments the scene behind a reflection and uses the labels to remove the reflection.

Liu, Li, You, Lu, ACM TOMM 2022 (arXiv 1907.11912); SGRRN specification, sections 7 to 9, 11 and 12. The first stage,
the available data and the scores are our design where the release leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.layers.palettes import colorize, palette
from sirr_jax.layers.range import to_signed, to_unit
from sirr_jax.losses.adversarial import least_squares_discriminator
from sirr_jax.losses.exclusion import exclusion
from sirr_jax.losses.segmentation import cross_entropy
from sirr_jax.losses.sgrrn import PROFILES, layer_terms
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.recipes.base import AXIS, RECIPES, Ancestry, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, label_classes
from sirr_jax.recipes.common.loss_terms import add_terms, named_terms
from sirr_jax.recipes.common.perceptual import SGRRN, PerceptualTerm
from sirr_jax.recipes.common.pretrained import load_initial, with_parents
from sirr_jax.recipes.sgrrn.batch import separation_batch
from sirr_jax.recipes.sgrrn.initialization import released_start, with_backbone
from sirr_jax.recipes.sgrrn.networks import DISCRIMINATORS, SMALLEST, check_config, model_args, network_id
from sirr_jax.synthesis.reflection import synthesis_options
from sirr_jax.weights.model_file import StoredNetwork

_TRUTH = {"restored": "target", "reflection": "reflection"}


@RECIPES.register("sgrrn")
class Sgrrn(Recipe):
    """Generator, two optional discriminators, and their stages.

    Stages: `semantic` (our design: encoder and semantic branch learn the labels of photographs with a reflection and
    of some without) and `joint` (all of the generator; with `config.adversarial` a step of the generator, then one of
    the discriminators). The first is left out if `config.decoder_mode` has no semantic part.

    Every pass of the generator updates the running statistics, also that of the discriminators' step. Dropout depends
    on the sample, not on its device.
    """

    name = "sgrrn"

    def __init__(self, config: ConfigDict) -> None:
        """Builds networks and stages.

        Args:
            config: config of `configs/sgrrn.py`.

        Raises:
            UserError: The config names an unknown profile, dtype, width, backbone, mode, synthesis or weight file, or
                contains a number that is out of range.
        """
        check_config(config)
        dtype = DTYPES[config.compute_dtype]
        profile = PROFILES[config.profile]
        self._config = config
        self._objective = profile._replace(
            exclusion=config.exclusion, adversarial=profile.adversarial if config.adversarial else 0.0
        )
        synthesis = config.data.synthesis
        self._synthesis = {
            "synthesis": synthesis.name,
            "options": synthesis_options(synthesis.name, synthesis.options.to_dict()),
            "void_is_background": profile.void_is_background,
        }
        self._model_args = model_args(config)
        self._network = {role: build(network_id(role), **args, dtype=dtype) for role, args in self._model_args.items()}
        self._training_generator = self._network["generator"].clone(axis_name=AXIS, momentum=config.momentum)
        self._training_segmenter = self._training_generator.clone(mode="OnlySemantic")
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
        # Real pairs have no labels.
        self.classes = label_classes(config) if self._semantic and share < 1 else 0
        self.notes = (self._describe(),)
        mix = {kind: part for kind, part in (("labelled_pairs", 1.0 - share), ("pairs", share)) if part > 0}
        self.stages = tuple(stage for stage in self._stages(mix) if stage.steps > 0)

    def _stages(self, mix: dict[str, float]) -> list[Stage]:
        steps, stages = self._config.steps, []
        if self._semantic:
            update = Update(("generator",), self._semantic_loss)
            stages.append(Stage("semantic", steps.semantic, (update,), {"labelled_pairs": 1.0}))
        updates = [Update(("generator",), self._generator_loss)]
        if self._objective.adversarial > 0:
            updates.append(Update(tuple(role for role, _ in DISCRIMINATORS.values()), self._discriminator_loss))
        return [*stages, Stage("joint", steps.joint, tuple(updates), mix)]

    def _describe(self) -> str:
        config, objective = self._config, self._objective
        adversarial = (
            f"adversarial loss of weight {objective.adversarial:g}" if config.adversarial else "no discriminator"
        )
        perceptual = self._perceptual.description
        if objective.perceptual == 0:
            perceptual = "perceptual loss: none, as released"
        start = Path(config.backbone_weights).name if config.backbone_weights else "scratch"
        return (
            f"profile {config.profile}, {adversarial}; {perceptual}; decoder mode {config.decoder_mode}; backbone "
            f"{config.backbone} from {start}"
        )

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws parameters, or loads those of the config's files; see `Recipe.init`."""
        config, variables = self._config, {}
        for i, (role, network) in enumerate(self._network.items()):
            network_key = jax.random.fold_in(key, i)
            drawn = initialize(network, network_key, (1, SMALLEST, SMALLEST, 3))
            if config.profile == "released":
                params = released_start(network_key, drawn["params"], discriminator=role != "generator")
                drawn = drawn | {"params": params}
            variables[role] = drawn
        ancestries: dict[str, Ancestry] = {}
        self.ancestries = ancestries
        if config.backbone_weights:
            variables["generator"], parents = with_backbone(
                variables["generator"], config.backbone_weights, backbone=config.backbone, width=config.width
            )
            with_parents(ancestries, "generator", parents)
        if config.init_from:
            networks = {role: (network_id(role), args) for role, args in self._model_args.items()}
            variables = load_initial(config.init_from, networks, variables, ancestries=ancestries)
        params = {role: tree["params"] for role, tree in variables.items()}
        if self._perceptual.params:
            params["vgg19"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, {"generator": variables["generator"]["batch_stats"]}

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Synthesizes mixtures and mirrors samples; see `separation_batch`."""
        return separation_batch(raw, key, **self._synthesis, flip=train and self._config.data.flip)

    # --- losses ---------------------------------------------------------------------------------------------------

    def _train_pass(
        self, apply: Callable[..., Any], params: Tree, collections: Tree, batch: Tree, image: jax.Array
    ) -> tuple[Tree, Tree]:
        """A training pass of images in [0, 1]: the outputs, and the generator's updated running statistics."""
        outputs, state = apply(
            {"params": params["generator"], "batch_stats": collections["generator"]},
            to_signed(image),
            samples=batch["sample"],
            train=True,
            mutable=["batch_stats"],
            # One key for all devices: the samples' random numbers make dropout differ.
            rngs={"dropout": jax.random.key(0)},
        )
        return outputs, {"generator": state["batch_stats"]}

    def _labels_loss(self, outputs: Tree, batch: Tree) -> jax.Array:
        return self._objective.semantic * cross_entropy(outputs["semantic_logits"], batch["labels"], axis_name=AXIS)

    def _semantic_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of the labels; a fraction of the images are targets, without a reflection."""
        del key
        clean = batch["sample"].astype(jnp.float32) < self._config.clean_share * 2.0**32
        image = jnp.where(clean[:, None, None, None], batch["target"], batch["mixture"])
        outputs, statistics = self._train_pass(self._training_segmenter.apply, params, collections, batch, image)
        loss = self._labels_loss(outputs, batch)
        return loss, Aux({"generator/semantic": loss}, statistics)

    def _generator_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Loss of `sirr_jax.losses.sgrrn`."""
        del key
        apply = self._training_generator.apply
        outputs, statistics = self._train_pass(apply, params, collections, batch, batch["mixture"])
        terms: dict[str, jax.Array] = {}
        for layer, (role, _) in DISCRIMINATORS.items():
            estimate, target = _layer(layer, outputs, batch)
            distance = probability = None
            if "vgg19" in params:
                distance = self._perceptual(params["vgg19"], to_unit(estimate), to_unit(target))
            if self._objective.adversarial > 0:
                probability = self._discriminate(role, params, estimate)
            parts = layer_terms(
                self._objective,
                estimate,
                target,
                distance=distance,
                scores=probability,
                batch_size=self._config.batch_size,
            )
            terms |= {f"{name}_{layer}": value for name, value in parts.items()}
        if self._semantic:
            terms["semantic"] = self._labels_loss(outputs, batch)
        if self._objective.exclusion > 0:
            terms["exclusion"] = self._objective.exclusion * exclusion(outputs["restored"], outputs["reflection"])
        total, scalars = named_terms("generator", terms)
        return total, Aux(scalars, statistics)

    def _discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Least squares of the probabilities of both layers.

        Without the released gradient penalty, which is constant except for a negligible part (section 7).
        """
        del key
        apply = self._training_generator.apply
        outputs, statistics = self._train_pass(apply, params, collections, batch, batch["mixture"])
        outputs = jax.lax.stop_gradient(outputs)
        images = self._config.batch_size if self._objective.batch_sum else 1
        terms = {}
        for layer, (role, weight) in DISCRIMINATORS.items():
            estimate, target = _layer(layer, outputs, batch)
            real, fake = jnp.split(self._discriminate(role, params, jnp.concatenate([target, estimate])), 2)
            terms[role] = weight * images * least_squares_discriminator(real, fake)
        return add_terms(terms), Aux({f"{role}/loss": value for role, value in terms.items()}, statistics)

    def _discriminate(self, role: str, params: Tree, image: jax.Array) -> jax.Array:
        outputs = cast(dict[str, jax.Array], self._network[role].apply({"params": params[role]}, image))
        return outputs["probability"]

    # --- results --------------------------------------------------------------------------------------------------

    def _infer(self, params: Tree, collections: Tree, batch: Tree) -> Tree:
        variables = _variables(params, collections)
        return cast(Tree, self._network["generator"].apply(variables, to_signed(batch["mixture"])))

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns the mixture, both estimates with their targets, and labels in colors; see `Recipe.compare`."""
        outputs = self._infer(params, collections, batch)
        images: dict[str, jax.Array] = {name: to_unit(outputs[name]) for name in DISCRIMINATORS}
        images |= {"input": batch["mixture"], "target": batch["target"], "true_reflection": batch["reflection"]}
        if self._semantic:
            colors = palette(label_classes(self._config))
            labels = {"labels": outputs["semantic_logits"].argmax(axis=-1), "true_labels": batch["labels"]}
            for name, x in labels.items():
                images[name] = jnp.asarray(colorize(x, colors)).astype(jnp.float32) / 255.0
        return {name: jnp.clip(images[name], 0.0, 1.0) for name in self.panels}

    def segment(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns the true labels and those that the network estimates from the mixture; see `Recipe.segment`."""
        outputs = self._infer(params, collections, batch)
        return {"target": batch["labels"], "labels": outputs["semantic_logits"].argmax(axis=-1).astype(jnp.int32)}

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Returns the generator, which restores, and the discriminators in a file of their own."""
        discriminator_args = dict(self._model_args)
        generator_args = discriminator_args.pop("generator")
        generator = StoredNetwork(network_id("generator"), generator_args, _variables(params, collections))
        discriminators = {
            role: StoredNetwork(network_id(role), args, {"params": params[role]})
            for role, args in discriminator_args.items()
        }
        models = {"sgrrn": {"generator": generator}}
        return models | ({"discriminators": discriminators} if discriminators else {})


def _variables(params: Tree, collections: Tree) -> Tree:
    return {"params": params["generator"], "batch_stats": collections["generator"]}


def _layer(layer: str, outputs: Tree, batch: Tree) -> tuple[jax.Array, jax.Array]:
    """An estimate and its target, in [-1, 1]; where the true reflection is unknown, the target is the estimate."""
    estimate, target = outputs[layer], to_signed(batch[_TRUTH[layer]])
    if layer == "reflection":
        estimate = jnp.where(batch["has_reflection"][:, None, None, None], estimate, target)
    return estimate, target
