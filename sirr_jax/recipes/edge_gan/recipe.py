"""Edge GAN: a network for the edges of the background, one for the area of the reflection, and a GAN with both maps.

Siboooo/ReflectionRemoval, 2019; EdgeGAN specification, sections 1, 4, 5 and 6.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.losses.adversarial import cross_entropy, cross_entropy_discriminator, logit_margin
from sirr_jax.losses.attentive_gan import attention_loss
from sirr_jax.losses.edge_gan import PRESETS, generator_terms
from sirr_jax.models import build
from sirr_jax.models.edge_gan.edge_maps import TARGETS, attention_target, edge_map
from sirr_jax.models.edge_gan.forward import discriminate, find_edges, find_reflection, restore
from sirr_jax.models.glorot_uniform import glorot_uniform
from sirr_jax.models.initialize import initialize
from sirr_jax.models.restore_spec import Apply
from sirr_jax.recipes.base import AXIS, RECIPES, Ancestry, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_crop, check_share, check_steps, freeze
from sirr_jax.recipes.common.loss_terms import named_terms
from sirr_jax.recipes.common.perceptual import EDGE_GAN, PerceptualTerm
from sirr_jax.recipes.common.pretrained import load_initial
from sirr_jax.recipes.common.single_image_batch import single_images
from sirr_jax.synthesis.reflection import synthesis_options
from sirr_jax.weights.model_file import StoredNetwork

_CHANNELS = {"edge_net": 1, "attention_net": 4, "generator": 5, "discriminator": 3}
_DENSE = 400  # the crop that the published discriminator requires
_SMALLEST = 16
# Names of the maps of the attention net, by step; the last one is its result.
_ATTENTION = {
    "released": ("attention_1", "attention"),
    "corrected": ("attention_1", "attention_2", "attention_3", "attention"),
}


@RECIPES.register("edge_gan")
class EdgeGan(Recipe):
    """Edge net, attention net, generator, discriminator and their stages.

    Stages: `edge` (the edge net alone), `attention` (the attention net; the edge net is frozen), `adversarial` (some
    steps of the discriminator, then one of the generator; both nets are frozen). A stage freezes networks as their
    moving averages, which are exported, in inference mode.

    The release resizes everything to squares of 400 px; here crops of any multiple of 4 keep the photographs' scale.
    The frozen maps and the generator's image are the same in all updates of a step: XLA computes them once.
    """

    name = "edge_gan"

    def __init__(self, config: ConfigDict) -> None:
        """Builds networks and stages.

        Args:
            config: config of `configs/edge_gan.py`.

        Raises:
            UserError: The config names an unknown preset, dtype, width, synthesis, target or weight file, or contains
                a number that is out of range.
        """
        _check(config)
        dtype = DTYPES[config.compute_dtype]
        self._config, self._loss = config, PRESETS[config.preset]
        self._scales = max(n for n in range(1, 6) if 10 * 2 ** (n - 1) < config.data.crop)
        synthesis = config.data.synthesis
        self._synthesis = {
            "synthesis": synthesis.name,
            "options": synthesis_options(synthesis.name, synthesis.options.to_dict()),
        }
        self._model_args = _model_args(config)
        self._network = {
            role: build(_id(role), **model_args, dtype=dtype) for role, model_args in self._model_args.items()
        }
        self._training_edge_net = self._network["edge_net"].clone(axis_name=AXIS)
        features = EDGE_GAN if self._loss.raw else EDGE_GAN._replace(preprocessing="normalized")
        # The released weight is meant for features of 0..255; the substitute is of another magnitude.
        self._perceptual = PerceptualTerm(
            config.perceptual_weights, features=features, substitute=not self._loss.raw, dtype=dtype
        )
        self.maps = ("edge", *_ATTENTION[config.attention.variant])
        self.panels = ("input", *self.maps, "restored", "target")
        share = config.data.pairs_share
        self.validation = "pairs" if share >= 1 else "single"
        self.notes = (f"{self._perceptual.description}, weight {self._loss.perceptual:g}", self._describe())
        mix = {kind: part for kind, part in (("single", 1.0 - share), ("pairs", share)) if part > 0}
        self.stages = tuple(stage for stage in self._stages(mix) if stage.steps > 0)

    def _stages(self, mix: dict[str, float]) -> tuple[Stage, ...]:
        steps, times = self._config.steps, self._config.discriminator_steps
        if self._loss.raw:
            # As released: a step on the targets, then one on the restored images, and so on.
            losses = (functools.partial(self._discriminator_loss, images=images) for images in (("real",), ("fake",)))
            discriminator = tuple(Update(("discriminator",), loss) for loss in losses) * times
        else:
            loss = functools.partial(self._discriminator_loss, images=("real", "fake"))
            discriminator = (Update(("discriminator",), loss, times=times),)
        edge = Update(("edge_net",), self._edge_loss)
        attention = Update(("attention_net",), self._attention_loss)
        generator = Update(("generator",), self._generator_loss)
        return (
            Stage("edge", steps.edge, (edge,), mix),
            Stage("attention", steps.attention, (attention,), mix, begin=freeze("edge_net")),
            Stage(
                "adversarial",
                steps.adversarial,
                (*discriminator, generator),
                mix,
                begin=freeze("edge_net", "attention_net"),
            ),
        )

    def _describe(self) -> str:
        config = self._config
        return (
            f"preset {config.preset}; attention net {config.attention.variant}, target {config.attention.target}; "
            f"aux_scale {config.aux_scale:.4g}; MS-SSIM of {self._scales} scales"
        )

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws parameters, or loads those of `config.init_from`; see `Recipe.init`."""
        variables = {}
        for i, (role, network) in enumerate(self._network.items()):
            network_key = jax.random.fold_in(key, i)
            dense = role == "discriminator" and network.head == "dense"
            side = _DENSE if dense else _SMALLEST
            drawn = initialize(network, network_key, (1, side, side, _CHANNELS[role]))
            if self._loss.raw:
                drawn = drawn | {"params": glorot_uniform(network_key, drawn["params"])}
            variables[role] = drawn
        ancestries: dict[str, Ancestry] = {}
        self.ancestries = ancestries
        if self._config.init_from:
            networks = {role: (_id(role), model_args) for role, model_args in self._model_args.items()}
            variables = load_initial(self._config.init_from, networks, variables, ancestries=ancestries)
        params = {role: tree["params"] for role, tree in variables.items()}
        if self._perceptual.params:
            params["vgg16"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, {"edge_net": variables["edge_net"]["batch_stats"]}

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Synthesizes mixtures and turns samples; see `single_images`."""
        batch = single_images(raw, key, **self._synthesis, turn=train and self._config.data.turn)
        return {name: batch[name] for name in ("mixture", "target")}

    # --- losses ---------------------------------------------------------------------------------------------------

    def _bind(self, params: Tree, collections: Tree) -> dict[str, Apply]:
        """The networks with their variables, in inference mode."""
        return {
            role: cast(Apply, network.bind(_variables(role, params, collections)))
            for role, network in self._network.items()
        }

    def _edge_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Mean squared error of the edges in 0..255; the running statistics are updated."""
        del key
        statistics: Tree = {}

        def apply(edges: jax.Array) -> dict[str, jax.Array]:
            variables = _variables("edge_net", params, collections)
            outputs, state = self._training_edge_net.apply(variables, edges, train=True, mutable=["batch_stats"])
            statistics.update(state["batch_stats"])
            return outputs

        edge = find_edges({"edge_net": apply}, batch["mixture"])
        loss = jnp.square(edge - edge_map(batch["target"])).mean()
        return loss, Aux({"edge_net/loss": loss}, {"edge_net": statistics})

    def _attention_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Mean squared errors of the maps in 0..255; earlier ones weigh less."""
        del key
        options = self._config.attention
        area = attention_target(batch["mixture"], batch["target"], target=options.target)
        maps = find_reflection(self._bind(params, collections), batch["mixture"])["attention_steps"]
        loss = attention_loss(maps, area, theta=options.theta, last=0)
        last = attention_loss(maps[-1:], area, theta=1.0, last=0)
        return loss, Aux({"attention_net/loss": loss, "attention_net/last": last})

    def _generator_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Loss of `sirr_jax.losses.edge_gan`."""
        del key
        networks, target = self._bind(params, collections), batch["target"]
        restored = restore(networks, batch["mixture"])["restored"]
        distance = self._perceptual(params.get("vgg16", {}), restored, target)
        logits = discriminate(networks, restored)
        total, scalars = named_terms(
            "generator", generator_terms(self._loss, restored, target, distance, logits, scales=self._scales)
        )
        return total, Aux(scalars)

    def _discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array, *, images: tuple[str, ...]
    ) -> tuple[jax.Array, Aux]:
        """Cross-entropy of the logits of the targets ("real"), of the restored images ("fake"), or of both."""
        del key
        networks = self._bind(params, collections)
        sources = {
            "real": lambda: batch["target"],
            "fake": lambda: jax.lax.stop_gradient(restore(networks, batch["mixture"])["restored"]),
        }
        if len(images) == 1:
            loss = cross_entropy(discriminate(networks, sources[images[0]]()), real=images == ("real",))
            return loss, Aux({f"discriminator/{images[0]}": loss})
        logits = discriminate(networks, jnp.concatenate([sources[name]() for name in images]))
        real, fake = jnp.split(logits, 2)
        loss = cross_entropy_discriminator(real, fake)
        return loss, Aux({"discriminator/loss": loss, "discriminator/margin": logit_margin(real, fake)})

    # --- results --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns mixture, edges, the attention of every step in gray, estimate and target; see `Recipe.compare`."""
        outputs = restore(self._bind(params, collections), batch["mixture"])
        maps = (outputs["edge"], *outputs["attention_steps"])
        images = {name: jnp.repeat(x / 255.0, 3, axis=-1) for name, x in zip(self.maps, maps, strict=True)}
        images |= {"restored": outputs["restored"]}
        images = {name: jnp.clip(x, 0.0, 1.0) for name, x in images.items()}
        return {"input": batch["mixture"], **images, "target": batch["target"]}

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Returns the three networks that restore, and the discriminator in a file of its own."""
        networks = {
            role: StoredNetwork(_id(role), model_args, _variables(role, params, collections))
            for role, model_args in self._model_args.items()
        }
        return {"discriminator": {"discriminator": networks.pop("discriminator")}, "edge_gan": networks}


def _id(role: str) -> str:
    return f"edge_gan/{role}"


def _model_args(config: ConfigDict) -> dict[str, dict[str, Any]]:
    """Role -> arguments that differ from the published network's."""
    width = {} if config.width == "base" else {"width": config.width}
    scale = {} if config.aux_scale == 1 else {"aux_scale": config.aux_scale}
    variant = {} if config.attention.variant == "released" else {"variant": config.attention.variant}
    head = {} if config.data.crop == _DENSE else {"head": "gap"}
    return {
        "edge_net": width,
        "attention_net": width | variant | scale,
        "generator": width | scale,
        "discriminator": width | head,
    }


def _variables(role: str, params: Tree, collections: Tree) -> Tree:
    statistics = {"batch_stats": collections[role]} if role in collections else {}
    return {"params": params[role]} | statistics


def _check(config: ConfigDict) -> None:
    for name, known in (("preset", PRESETS), ("compute_dtype", DTYPES), ("attention.target", TARGETS)):
        check_choice(config, name, known)
    check_crop(config, multiple=4, least=_SMALLEST)
    check_share(config, "data.pairs_share")
    check_steps(config)
    if config.discriminator_steps < 1:
        raise UserError(f"config.discriminator_steps={config.discriminator_steps}; choose 1 or more")
