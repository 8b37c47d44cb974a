"""Edge GAN: a net for the background's edges, one for the reflection's place, and a GAN that is shown both.

Siboooo/ReflectionRemoval, 2019; EdgeGAN specification, sections 1, 4, 5 and 6.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.losses.adversarial import cross_entropy, cross_entropy_discriminator, logit_margin
from sirr_jax.losses.attentive_gan import attention_loss
from sirr_jax.losses.edge_gan import PRESETS, generator_terms
from sirr_jax.models import build
from sirr_jax.models.edge_gan.edge_maps import TARGETS, attention_target, edge_map
from sirr_jax.models.glorot_uniform import glorot_uniform
from sirr_jax.models.initialize import initialize
from sirr_jax.recipes.base import AXIS, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.bound_network import Apply
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_crop, check_share, check_steps, freeze
from sirr_jax.recipes.common.perceptual import EDGE_GAN, PerceptualTerm
from sirr_jax.recipes.common.pretrained import start_from
from sirr_jax.recipes.common.single_image_batch import single_images
from sirr_jax.recipes.edge_gan.forward import find_edges, find_reflection, judge, restore
from sirr_jax.synthesis.reflection import synthesis_options
from sirr_jax.weights.model_file import StoredNetwork

_CHANNELS = {"edge_net": 1, "attention_net": 4, "generator": 5, "discriminator": 3}
_DENSE = 400  # the size that the published discriminator is tied to
_SMALLEST = 16
# The maps that the attention net makes, by step; the last one is its answer.
_ATTENTION = {
    "released": ("attention_1", "attention"),
    "corrected": ("attention_1", "attention_2", "attention_3", "attention"),
}


class EdgeGan(Recipe):
    """Edge net, attention net, generator, discriminator and their stages.

    Stages: `edge` (the edge net alone), `attention` (the attention net; the edge net is frozen), `adversarial` (some
    steps of the discriminator, then one of the generator; both nets are frozen). What a stage freezes is the moving
    average that will be shipped, in inference mode.

    The release resizes everything to squares of 400 px; here crops of any multiple of 4 keep the photographs' scale.
    The frozen maps and the generator's image are the same in all updates of a step: XLA computes them once.
    """

    name = "edge_gan"

    def __init__(self, config: ConfigDict) -> None:
        """Build networks and stages; `config` as `configs/edge_gan.py` makes it.

        Raises:
            UserError: if the config names an unknown preset, precision, width, synthesis, target or weight file, or
                holds a number that makes no sense.
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
        self._learning_edge_net = self._network["edge_net"].clone(axis_name=AXIS)
        features = EDGE_GAN if self._loss.raw else EDGE_GAN._replace(feed="normalized")
        # The stand-in is of another size than features of 0..255, for which the released weight is meant.
        self._perceptual = PerceptualTerm(
            config.perceptual_weights, features=features, substitute=not self._loss.raw, dtype=dtype
        )
        self.maps = ("edge", *_ATTENTION[config.attention.variant])
        self.panels = ("input", *self.maps, "restored", "target")
        share = config.data.pairs_share
        self.validation = "pairs" if share >= 1 else "single"
        self.notes = (f"{self._perceptual.description}, weight {self._loss.perceptual:g}", self._sentence())
        mix = {kind: part for kind, part in (("single", 1.0 - share), ("pairs", share)) if part > 0}
        self.stages = tuple(stage for stage in self._stages(mix) if stage.steps > 0)

    def _stages(self, mix: dict[str, float]) -> tuple[Stage, ...]:
        steps, times = self._config.steps, self._config.discriminator_steps
        if self._loss.raw:
            # As released: a step on the targets, then one on the restored images, and so on.
            parts = (functools.partial(self._discriminator_loss, shown=shown) for shown in (("real",), ("fake",)))
            verdicts = tuple(Update(("discriminator",), part) for part in parts) * times
        else:
            verdict = functools.partial(self._discriminator_loss, shown=("real", "fake"))
            verdicts = (Update(("discriminator",), verdict, times=times),)
        edge = Update(("edge_net",), self._edge_loss)
        attention = Update(("attention_net",), self._attention_loss)
        generator = Update(("generator",), self._generator_loss)
        return (
            Stage("edge", steps.edge, (edge,), mix),
            Stage("attention", steps.attention, (attention,), mix, begin=freeze("edge_net")),
            Stage(
                "adversarial",
                steps.adversarial,
                (*verdicts, generator),
                mix,
                begin=freeze("edge_net", "attention_net"),
            ),
        )

    def _sentence(self) -> str:
        config = self._config
        return (
            f"preset {config.preset}; attention net {config.attention.variant}, taught the {config.attention.target}; "
            f"aux_scale {config.aux_scale:.4g}; MS-SSIM of {self._scales} scales"
        )

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draw parameters, or take those that `config.init_from` has; see `Recipe.init`."""
        variables = {}
        for i, (role, network) in enumerate(self._network.items()):
            own = jax.random.fold_in(key, i)
            dense = role == "discriminator" and network.head == "dense"
            side = _DENSE if dense else _SMALLEST
            drawn = initialize(network, own, (1, side, side, _CHANNELS[role]))
            if self._loss.raw:
                drawn = drawn | {"params": glorot_uniform(own, drawn["params"])}
            variables[role] = drawn
        if self._config.start_from:
            wanted = {role: (_id(role), model_args) for role, model_args in self._model_args.items()}
            variables = start_from(self._config.start_from, wanted, variables)
        params = {role: tree["params"] for role, tree in variables.items()}
        if self._perceptual.params:
            params["vgg16"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, {"edge_net": variables["edge_net"]["batch_stats"]}

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Mix and turn; see `single_images`."""
        made = single_images(raw, key, **self._synthesis, turn=train and self._config.data.turn)
        return {name: made[name] for name in ("mixture", "target")}

    # --- losses ---------------------------------------------------------------------------------------------------

    def _applied(self, params: Tree, collections: Tree) -> dict[str, Apply]:
        """The networks with their variables, in inference mode."""
        return {
            role: functools.partial(network.apply, _variables(role, params, collections))
            for role, network in self._network.items()
        }

    def _edge_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Mean squared error of the edges in 0..255; the running statistics move."""
        del key
        statistics: Tree = {}

        def apply(sobel: jax.Array) -> dict[str, jax.Array]:
            variables = _variables("edge_net", params, collections)
            made, moved = self._learning_edge_net.apply(variables, sobel, train=True, mutable=["batch_stats"])
            statistics.update(moved["batch_stats"])
            return made

        edge = find_edges({"edge_net": apply}, batch["mixture"])
        loss = jnp.square(edge - edge_map(batch["target"])).mean()
        return loss, Aux({"edge_net/loss": loss}, {"edge_net": statistics})

    def _attention_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Mean squared errors of the maps in 0..255; earlier ones weigh less."""
        del key
        how = self._config.attention
        area = attention_target(batch["mixture"], batch["target"], target=how.target)
        maps = find_reflection(self._applied(params, collections), batch["mixture"])["attention_steps"]
        loss = attention_loss(maps, area, theta=how.theta, last=0)
        last = attention_loss(maps[-1:], area, theta=1.0, last=0)
        return loss, Aux({"attention_net/loss": loss, "attention_net/last": last})

    def _generator_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """See `sirr_jax.losses.edge_gan`."""
        del key
        networks, target = self._applied(params, collections), batch["target"]
        restored = restore(networks, batch["mixture"])["restored"]
        distance = self._perceptual(params.get("vgg16", {}), restored, target)
        terms = generator_terms(self._loss, restored, target, distance, judge(networks, restored), scales=self._scales)
        total = sum(terms.values())
        return total, Aux({"generator/loss": total} | {f"generator/{name}": value for name, value in terms.items()})

    def _discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array, *, shown: tuple[str, ...]
    ) -> tuple[jax.Array, Aux]:
        """Cross-entropy of the verdicts on the targets ("real"), on the restored images ("fake"), or on both."""
        del key
        networks = self._applied(params, collections)
        images = {
            "real": lambda: batch["target"],
            "fake": lambda: jax.lax.stop_gradient(restore(networks, batch["mixture"])["restored"]),
        }
        if len(shown) == 1:
            loss = cross_entropy(judge(networks, images[shown[0]]()), real=shown == ("real",))
            return loss, Aux({f"discriminator/{shown[0]}": loss})
        logits = judge(networks, jnp.concatenate([images[name]() for name in shown]))
        real, fake = jnp.split(logits, 2)
        loss = cross_entropy_discriminator(real, fake)
        return loss, Aux({"discriminator/loss": loss, "discriminator/margin": logit_margin(real, fake)})

    # --- answers --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Image with the reflection, edges and the attention of every step in gray, the estimate, target."""
        made = restore(self._applied(params, collections), batch["mixture"])
        found = (made["edge"], *made["attention_steps"])
        shown = {name: jnp.repeat(x / 255.0, 3, axis=-1) for name, x in zip(self.maps, found, strict=True)}
        shown |= {"restored": made["restored"]}
        shown = {name: jnp.clip(x, 0.0, 1.0) for name, x in shown.items()}
        return {"input": batch["mixture"], **shown, "target": batch["target"]}

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """The three networks that restore; the discriminator, apart."""
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
