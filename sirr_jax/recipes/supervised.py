"""Supervised training of any network that restores single images, from its config.

The network's own `RestoreSpec` or `Restoration` is the forward pass, so that it trains exactly as it restores.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.errors import UserError, did_you_mean
from sirr_jax.losses.adversarial import ADVERSARIAL_LOSSES, logit_margin
from sirr_jax.losses.registry import LOSSES
from sirr_jax.models.initialize import initialize
from sirr_jax.models.registry import build, get_restoration
from sirr_jax.models.torch_uniform import torch_uniform
from sirr_jax.recipes.base import RECIPES, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.companions import read_companions
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_share, check_steps
from sirr_jax.recipes.common.loss_terms import named_terms
from sirr_jax.recipes.common.perceptual import ERRNET, ERRNET_UNALIGNED, PerceptualTerm
from sirr_jax.recipes.common.pretrained import load_initial
from sirr_jax.recipes.common.single_image_batch import real_pairs, single_images
from sirr_jax.synthesis.reflection import synthesis_options
from sirr_jax.weights.model_file import StoredNetwork

_DISCRIMINATOR = "discriminator"
_INITIAL_SIDE = 32


@RECIPES.register("supervised")
class Supervised(Recipe):
    """A network that restores, optionally a discriminator, and the stages of the config.

    In a stage with a discriminator, each step updates the discriminator, then the network.
    """

    name = "supervised"

    def __init__(self, config: ConfigDict) -> None:
        """Builds networks and stages.

        Args:
            config: config of `sirr_jax.training.supervised_config`, with stages.

        Raises:
            UserError: The config names an unknown network, loss, dtype or synthesis, a network that restores no single
                images, a weight file that cannot be used, or no loss for a kind of sample that a stage has.
        """
        _check(config)
        dtype = DTYPES[config.compute_dtype]
        self.name, _, self._role = config.network.partition("/")
        self._restoration = get_restoration(self.name)
        if self._role not in self._restoration.roles:
            raise UserError(
                f"config.network is {config.network!r}, and {self.name}'s {', '.join(self._restoration.roles)} restore "
                "photographs; name one of them"
            )
        width = {} if config.width == "base" else {"width": config.width}
        model_args = {self._role: width | config.model_args.to_dict()}
        self._networks = {self._role: (config.network, model_args[self._role])}
        if config.discriminator.network:
            self._networks[_DISCRIMINATOR] = (config.discriminator.network, width)
        self._modules = {
            role: build(network_id, **args, dtype=dtype) for role, (network_id, args) in self._networks.items()
        }
        required = self._restoration.required({self._role: self._modules[self._role]})
        self._companions, self._companion_ancestries = read_companions(
            config.companions.to_dict(), [r for r in required if r != self._role]
        )
        for role, network in self._companions.items():
            self._modules[role] = build(network.id, **network.model_args)

        self._config = config
        self._losses = {name: LOSSES.find(name) for name in (*config.losses, *config.reflection_losses)}
        self._perceptual = PerceptualTerm(config.perceptual_weights, features=ERRNET, dtype=dtype)
        self._synthesis = {
            "synthesis": config.data.synthesis.name,
            "options": synthesis_options(config.data.synthesis.name, config.data.synthesis.options.to_dict()),
        }
        self.stages = tuple(stage for stage in self._stages() if stage.steps > 0)
        if not self.stages:
            raise UserError("no stage of config.stage_order has steps; name stages, and set config.stages.NAME.steps")
        self._unaligned: PerceptualTerm | None = None
        if any("unaligned" in stage.mix for stage in self.stages):
            if not config.perceptual_weights:
                raise UserError(
                    "pairs that are not aligned need config.perceptual_weights, a VGG-19 file; give one, or set "
                    "unaligned=0 in every stage"
                )
            self._unaligned = PerceptualTerm(config.perceptual_weights, features=ERRNET_UNALIGNED, dtype=dtype)
        estimates = ("restored", "reflection") if config.reflection_losses else ("restored",)
        self.panels = ("input", *estimates, "target")
        self.maps = estimates[1:]
        self.validation = "single" if any("single" in stage.mix for stage in self.stages) else "pairs"
        self.notes = (self._perceptual.description,)

    def _stages(self) -> list[Stage]:
        stages = []
        for name in self._config.stage_order:
            options = self._config.stages[name]
            shares = {"pairs": options.pairs, "unaligned": options.unaligned}
            mix = {"single": 1.0 - sum(shares.values())} | shares
            updates = [Update((self._role,), functools.partial(self._loss, adversarial=options.adversarial))]
            if options.adversarial:
                updates.insert(0, Update((_DISCRIMINATOR,), self._discriminator_loss))
            positive = {kind: share for kind, share in mix.items() if share > 1e-9}
            rate = {self._role: options.rate}
            stages.append(Stage(name, options.steps, tuple(updates), positive, rate=rate))
        return stages

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws variables, or loads those of `config.init_from`; see `Recipe.init`."""
        ancestries = dict(self._companion_ancestries)
        self.ancestries = ancestries
        variables = {}
        for i, role in enumerate(self._networks):
            module, network_key = self._modules[role], jax.random.fold_in(key, i)
            drawn = initialize(module, network_key, *module.example_shapes(size=(_INITIAL_SIDE, _INITIAL_SIDE)))
            if self._config.torch_initial and role == self._role:
                drawn |= {"params": torch_uniform(network_key, drawn["params"], biases=False)}
            variables[role] = drawn
        if self._config.init_from:
            variables = load_initial(self._config.init_from, self._networks, variables, ancestries=ancestries)
        params = {role: tree["params"] for role, tree in variables.items()}
        collections = {
            role: rest
            for role, tree in variables.items()
            if (rest := {name: value for name, value in tree.items() if name != "params"})
        }
        for role, network in self._companions.items():
            params[role] = jax.tree.map(jnp.asarray, network.variables["params"])
        for name, term in (("perceptual", self._perceptual), ("unaligned", self._unaligned)):
            if term is not None and term.params:
                params[name] = jax.tree.map(jnp.copy, term.params)
        return params, collections

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Synthesizes mixtures, joins the real pairs and turns samples; see `single_images`."""
        turn = train and self._config.data.turn
        flip = train and self._config.data.flip
        batch: Tree = {}
        if "single" in raw or "pairs" in raw:
            batch = dict(single_images(raw, key, **self._synthesis, turn=turn, flip=flip))
            kinds = {"single": 1.0, "pairs": 0.0}  # the order of `single_images`
            synthetic = [jnp.full(len(raw[kind]["index"]), value) for kind, value in kinds.items() if kind in raw]
            batch["synthetic"] = jnp.concatenate(synthetic)
        if "unaligned" in raw:
            mixture, target, _ = real_pairs(jax.random.fold_in(key, 2), raw["unaligned"], turn=turn, flip=flip)
            batch |= {"unaligned_mixture": mixture, "unaligned_target": target}
        return batch

    # --- losses ---------------------------------------------------------------------------------------------------

    def _restore(
        self, params: Tree, collections: Tree, image: jax.Array, key: jax.Array | None = None
    ) -> tuple[dict[str, jax.Array], Tree]:
        """Restores images; with a key in training mode. Returns the outputs and the replaced collections."""
        replaced: Tree = {}
        networks: dict[str, Any] = {
            role: self._modules[role].bind({"params": params[role]}) for role in self._companions
        }

        def apply(*inputs: jax.Array) -> dict[str, Any]:
            module = self._modules[self._role]
            state = collections.get(self._role, {})
            variables = {"params": params[self._role], **state}
            if key is None:
                return cast(dict[str, Any], module.apply(variables, *inputs))
            outputs, changed = module.apply(variables, *inputs, train=True, mutable=list(state), rngs={"dropout": key})
            if state:
                replaced[self._role] = changed
            return cast(dict[str, Any], outputs)

        height, width = image.shape[1:3]
        outputs = self._restoration.restore({**networks, self._role: apply}, image)
        return {name: x[:, :height, :width] for name, x in outputs.items()}, replaced

    def _discriminate(self, params: Tree, image: jax.Array) -> jax.Array:
        variables = {"params": params[_DISCRIMINATOR]}
        return cast(dict[str, jax.Array], self._modules[_DISCRIMINATOR].apply(variables, image))["logits"]

    def _loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array, *, adversarial: bool
    ) -> tuple[jax.Array, Aux]:
        mixture, target = _both(batch, "mixture"), _both(batch, "target")
        outputs, replaced = self._restore(params, collections, mixture, key)
        restored = outputs["restored"]
        aligned = batch["mixture"].shape[0] if "mixture" in batch else 0
        terms = self._aligned_terms(params, outputs, batch) if aligned else {}
        if self._unaligned is not None and "unaligned_mixture" in batch:
            distance = self._unaligned(params["unaligned"], restored[aligned:], target[aligned:])
            terms["unaligned"] = self._config.unaligned_loss * distance
        # Each kind counts as its share of the samples.
        shares = {
            name: 1.0 - aligned / len(mixture) if name == "unaligned" else aligned / len(mixture) for name in terms
        }
        terms = {name: shares[name] * value for name, value in terms.items()}
        if adversarial:
            real, fake = self._discriminate(params, target), self._discriminate(params, restored)
            loss = ADVERSARIAL_LOSSES[self._config.discriminator.loss].generator(real, fake)
            terms["adversarial"] = self._config.discriminator.weight * loss
        total, scalars = named_terms(self._role, terms)
        return total, Aux(scalars, replaced)

    def _aligned_terms(self, params: Tree, outputs: Mapping[str, jax.Array], batch: Tree) -> dict[str, jax.Array]:
        target = batch["target"]
        restored = outputs["restored"][: len(target)]
        terms = {name: weight * self._losses[name](restored, target) for name, weight in self._config.losses.items()}
        if self._config.perceptual_loss:
            distance = self._perceptual(params.get("perceptual", {}), restored, target)
            terms["perceptual"] = self._config.perceptual_loss * distance
        if self._config.reflection_losses:
            # The reflection layer of a real pair is not known.
            synthetic = batch["synthetic"][:, None, None, None]
            estimate = outputs["reflection"][: len(target)] * synthetic
            for name, weight in self._config.reflection_losses.items():
                terms[f"reflection_{name}"] = weight * self._losses[name](estimate, batch["reflection"] * synthetic)
        return terms

    def _discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        outputs, _ = self._restore(params, collections, _both(batch, "mixture"), key)
        real = self._discriminate(params, _both(batch, "target"))
        fake = self._discriminate(params, jax.lax.stop_gradient(outputs["restored"]))
        loss = ADVERSARIAL_LOSSES[self._config.discriminator.loss].discriminator(real, fake)
        return loss, Aux({f"{_DISCRIMINATOR}/loss": loss, f"{_DISCRIMINATOR}/margin": logit_margin(real, fake)})

    # --- results --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns the mixture, the estimates and the target; see `Recipe.compare`."""
        outputs, _ = self._restore(params, collections, batch["mixture"])
        images = {name: outputs[name] for name in self.panels[1:-1]}
        images = {"input": batch["mixture"], **images, "target": batch["target"]}
        return {name: jnp.clip(x, 0.0, 1.0) for name, x in images.items()}

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Returns the network with those that it needs, and the discriminator in a file of its own."""
        stored = {
            role: StoredNetwork(network_id, args, {"params": params[role], **collections.get(role, {})})
            for role, (network_id, args) in self._networks.items()
        }
        files = {self._role: {self._role: stored[self._role], **self._companions}}
        if _DISCRIMINATOR in stored:
            files[_DISCRIMINATOR] = {_DISCRIMINATOR: stored[_DISCRIMINATOR]}
        return files


def _both(batch: Tree, name: str) -> jax.Array:
    """Joins the aligned and the other pairs of a batch."""
    return jnp.concatenate([batch[key] for key in (name, f"unaligned_{name}") if key in batch])


def _check(config: ConfigDict) -> None:
    check_choice(config, "compute_dtype", DTYPES)
    check_choice(config, "discriminator.loss", ADVERSARIAL_LOSSES)
    for name in config.stage_order:
        if name not in config.stages:
            known = ", ".join(config.stages)
            raise UserError(
                f"config.stage_order names {name!r}; {did_you_mean(name, config.stages, f'stages: {known}')}"
            )
        stage = config.stages[name]
        check_steps(config, f"stages.{name}.steps")
        check_share(config, f"stages.{name}.pairs")
        check_share(config, f"stages.{name}.unaligned")
        if stage.pairs + stage.unaligned > 1.0:
            raise UserError(
                f"config.stages.{name}: pairs={stage.pairs} and unaligned={stage.unaligned} are more than the whole "
                "batch; choose fractions that sum to 1 at most"
            )
        if stage.adversarial and not config.discriminator.network:
            raise UserError(
                f"config.stages.{name}.adversarial is True without a discriminator; name one in "
                "config.discriminator.network, or set it to False"
            )
    if not (config.losses or config.perceptual_loss):
        raise UserError("config.losses is empty; name a loss, for example config.losses.l1=1.0")
