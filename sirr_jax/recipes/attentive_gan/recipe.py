"""AttentiveGAN: a generator guided by attention maps of the drops, and a discriminator with a map of its own.

Qian, Tan, Yang, Su, Liu, CVPR 2018; AttentiveGAN specification, sections 4, 5 and 8.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from sirr_jax.losses.adversarial import cross_entropy_discriminator, cross_entropy_generator, logit_margin
from sirr_jax.losses.attentive_gan import PAPER, RELEASED, Weights, attention_loss, map_loss, multiscale_loss
from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from sirr_jax.models.torch_uniform import torch_uniform
from sirr_jax.recipes.attentive_gan.batch import raindrop_batch
from sirr_jax.recipes.base import RECIPES, Ancestry, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_crop, check_share, check_steps
from sirr_jax.recipes.common.loss_terms import named_terms
from sirr_jax.recipes.common.perceptual import ATTENTIVE_GAN, PerceptualTerm
from sirr_jax.recipes.common.pretrained import load_initial
from sirr_jax.synthesis.raindrops import RaindropOptions, difference_mask
from sirr_jax.weights.model_file import StoredNetwork

_MAP_TARGETS = ("attention", "mask")
_DENSE = 224  # the crop that the published discriminator requires
_STEPS = 4  # steps of the recurrent attention
_SMALLEST = 16


class _Preset(NamedTuple):
    """The values that `config.preset` selects.

    Attributes:
        weights: weights of the losses.
        preprocessing: preprocessing of VGG-16, see `sirr_jax.recipes.common.perceptual.Features`.
        torch_start: whether to draw the initial values of PyTorch.
    """

    weights: Weights
    preprocessing: str
    torch_start: bool


_PRESETS = {"paper": _Preset(PAPER, "normalized", False), "released": _Preset(RELEASED, "raw_bgr01", True)}


@RECIPES.register("attentive_gan")
class AttentiveGan(Recipe):
    """Generator, discriminator and their stages.

    Stages: `generator` (alone), `discriminator` (the generator is frozen), `adversarial` (a step of the discriminator,
    then one of the generator). Without a discriminator the first is as long as the first and the last together.

    The networks take BGR, everything else here is RGB.
    """

    name = "attentive_gan"

    def __init__(self, config: ConfigDict) -> None:
        """Builds networks and stages.

        Args:
            config: config of `configs/attentive_gan.py`.

        Raises:
            UserError: The config names an unknown preset, dtype, width, target or weight file, or a crop that the
                networks cannot take.
        """
        _check(config)
        dtype = DTYPES[config.compute_dtype]
        ablate, preset = config.ablate, _PRESETS[config.preset]
        self._config, self._weights, self._torch_start = config, preset.weights, preset.torch_start
        self._raindrops = RaindropOptions(**config.data.raindrops)
        self._mask = config.data.mask.to_dict()
        # On two pixels: wrong options are reported before the data is read.
        difference_mask(*np.zeros((2, 1, 1, 3), np.uint8), **self._mask)

        width = {} if config.width == "base" else {"width": config.width}
        head = {} if config.data.crop == _DENSE else {"head": "gap"}
        without_attention = {"attentive": False}
        self._model_args: dict[str, dict[str, Any]] = {
            "generator": width | (without_attention if ablate.attention else {})
        }
        if not ablate.discriminator:
            self._model_args["discriminator"] = width | head | (without_attention if ablate.discriminator_map else {})
        self._network = {
            role: build(f"attentive_gan/{role}", **model_args, dtype=dtype)
            for role, model_args in self._model_args.items()
        }
        features = ATTENTIVE_GAN._replace(preprocessing=preset.preprocessing)
        self._perceptual = PerceptualTerm(config.perceptual_weights, features=features, dtype=dtype)
        self._perceptual_weight = config.weights.perceptual if self._perceptual.params else config.weights.stand_in
        attention = () if ablate.attention else tuple(f"attention_{t}" for t in range(1, _STEPS + 1))
        self.panels, self.maps = ("input", *attention, "restored", "target"), attention
        self.validation = "pairs" if config.data.pairs_share >= 1 else "photos"
        self.notes = (f"{self._perceptual.description}, weight {self._perceptual_weight:g}", _describe(config))
        self.stages = tuple(stage for stage in self._stages() if stage.steps > 0)

    def _stages(self) -> list[Stage]:
        steps, share = self._config.steps, self._config.data.pairs_share
        mix = {kind: part for kind, part in (("photos", 1.0 - share), ("pairs", share)) if part > 0}
        alone = Update(("generator",), functools.partial(self._generator_loss, adversarial=False))
        if "discriminator" not in self._network:
            return [Stage("generator", steps.generator + steps.adversarial, (alone,), mix)]
        discriminator = Update(("discriminator",), self._discriminator_loss)
        adversarial = Update(("generator",), functools.partial(self._generator_loss, adversarial=True))
        return [
            Stage("generator", steps.generator, (alone,), mix),
            Stage("discriminator", steps.discriminator, (discriminator,), mix),
            Stage("adversarial", steps.adversarial, (discriminator, adversarial), mix),
        ]

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws parameters, or loads those of `config.init_from`; see `Recipe.init`."""
        crop = self._config.data.crop
        side = {"generator": _SMALLEST, "discriminator": crop if crop == _DENSE else _SMALLEST}
        variables = {}
        for i, (role, network) in enumerate(self._network.items()):
            network_key = jax.random.fold_in(key, i)
            params = initialize(network, network_key, (1, side[role], side[role], 3))["params"]
            variables[role] = {"params": torch_uniform(network_key, params) if self._torch_start else params}
        ancestries: dict[str, Ancestry] = {}
        self.ancestries = ancestries
        if self._config.init_from:
            networks = {role: (f"attentive_gan/{role}", model_args) for role, model_args in self._model_args.items()}
            variables = load_initial(self._config.init_from, networks, variables, ancestries=ancestries)
        params = {role: tree["params"] for role, tree in variables.items()}
        if self._perceptual.params:
            params["vgg16"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, {}

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Renders drops, computes masks and mirrors scenes; see `raindrop_batch`."""
        flip = train and self._config.data.flip
        return raindrop_batch(raw, key, raindrops=self._raindrops, mask=self._mask, flip=flip)

    # --- losses ---------------------------------------------------------------------------------------------------

    def _restore(self, params: Tree, image: jax.Array) -> dict[str, Any]:
        variables = {"params": params["generator"]}
        outputs = cast(dict[str, Any], self._network["generator"].apply(variables, image[..., ::-1]))
        return {name: x if name == "attention" else x[..., ::-1] for name, x in outputs.items()}

    def _discriminate(self, params: Tree, image: jax.Array) -> dict[str, jax.Array]:
        variables = {"params": params["discriminator"]}
        return cast(dict[str, jax.Array], self._network["discriminator"].apply(variables, image[..., ::-1]))

    def _generator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array, *, adversarial: bool
    ) -> tuple[jax.Array, Aux]:
        """L_G; without L_GAN in the first stage."""
        del collections, key
        weights, target = self._weights, batch["target"]
        outputs = self._restore(params, batch["mixture"])
        terms = {}
        if "attention" in outputs:
            terms["attention"] = attention_loss(
                outputs["attention"], batch["mask"], theta=weights.theta, last=weights.last
            )
        images = [outputs[name] for name in ("restored_quarter", "restored_half", "restored")]
        terms["multiscale"] = multiscale_loss(images, target, scales=weights.scales)
        if self._perceptual_weight > 0:
            distance = self._perceptual(params.get("vgg16", {}), outputs["restored"], target)
            terms["perceptual"] = self._perceptual_weight * distance
        if adversarial:
            logits = self._discriminate(params, outputs["restored"])["logits"]
            loss = cross_entropy_generator(logits, saturating=self._config.saturating)
            terms["adversarial"] = self._config.weights.adversarial * loss
        total, scalars = named_terms("generator", terms)
        return total, Aux(scalars)

    def _discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """L_D, with the loss of its map of the drops."""
        del collections, key
        generated = jax.lax.stop_gradient(self._restore(params, batch["mixture"]))
        outputs = self._discriminate(params, jnp.concatenate([batch["target"], generated["restored"]]))
        real, fake = jnp.split(outputs["logits"], 2)
        terms = {"cross_entropy": cross_entropy_discriminator(real, fake)}
        gamma = 0.0 if self._config.ablate.map_loss else self._weights.discriminator_map
        if gamma > 0 and "attention" in outputs:
            # Where the generator has no attention, the mask is the target.
            attention = "attention" in generated and self._config.map_target == "attention"
            drops = generated["attention"][-1] if attention else batch["mask"]
            real_map, fake_map = jnp.split(outputs["attention"], 2)
            terms["map"] = gamma * map_loss(real_map, fake_map, drops)
        total, scalars = named_terms("discriminator", terms)
        return total, Aux(scalars | {"discriminator/margin": logit_margin(real, fake)})

    # --- results --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns the rainy image, the attention maps in gray, the estimate and the target; see `Recipe.compare`."""
        del collections
        outputs = self._restore(params, batch["mixture"])
        gray = [jnp.repeat(a, 3, axis=-1) for a in outputs.get("attention", ())]
        images = dict(zip(self.maps, gray, strict=True)) | {"restored": outputs["restored"]}
        images = {name: jnp.clip(x, 0.0, 1.0) for name, x in images.items()}
        return {"input": batch["mixture"], **images, "target": batch["target"]}

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Returns the generator, which restores, and the discriminator in a file of its own."""
        del collections
        return {
            role: {role: StoredNetwork(f"attentive_gan/{role}", model_args, {"params": params[role]})}
            for role, model_args in self._model_args.items()
        }


def _check(config: ConfigDict) -> None:
    for name, known in (("preset", _PRESETS), ("compute_dtype", DTYPES), ("map_target", _MAP_TARGETS)):
        check_choice(config, name, known)
    check_crop(config, multiple=4, least=_SMALLEST)
    check_share(config, "data.pairs_share")
    check_steps(config)


def _describe(config: ConfigDict) -> str:
    ablated = ", ".join(name for name, absent in config.ablate.items() if absent)
    return f"preset {config.preset}, ablations: {ablated or 'none'}"
