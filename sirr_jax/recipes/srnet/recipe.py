"""SR-Net: refinement of the labels of a degraded photograph, then restoration under their guidance.

Xia, Cheng, Yang, Xue 2019, arXiv 1911.00679; SR-Net specification, sections 2 to 4. Of the original only the two
stages, their inputs and outputs, and the discriminator of each are known: losses, weights, schedule and layers are a
reconstruction, and results are results of the reconstruction, never of the paper's model.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.layers.range import to_signed, to_unit
from sirr_jax.losses.adversarial import logit_margin
from sirr_jax.losses.pixel import l1
from sirr_jax.losses.segmentation import cross_entropy
from sirr_jax.losses.srnet import discriminator_loss, refiner_terms, restorer_terms
from sirr_jax.recipes.base import AXIS, RECIPES, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_crop, check_steps, freeze, label_classes
from sirr_jax.recipes.common.loss_terms import add_terms
from sirr_jax.recipes.common.perceptual import SRNET, PerceptualTerm
from sirr_jax.recipes.srnet.batch import degraded_batch
from sirr_jax.recipes.srnet.networks import SMALLEST, SrNetNetworks
from sirr_jax.weights.model_file import StoredNetwork

_INITIAL = ("normal", "he")
_EXPORTED = ("segmenter", "refiner", "restorer")


@RECIPES.register("srnet")
class SrNet(Recipe):
    """Segmenter, refiner, restorer, two discriminators and their stages.

    Stages: `segmenter` (our own, on clean photographs; left out with a segmenter from a model file), `refine` (the
    refiner and the discriminator of maps), `restore` (the restorer, with the true labels as input, and the
    discriminator of images), `joint` (both end to end, with the refined labels as input of the restorer, at
    `config.joint_rate` of the learning rates). From `refine` on the segmenter is frozen; it labels the degraded
    photograph inside the step.
    """

    name = "srnet"
    panels = ("input", "segmented", "refined", "labels", "restored", "target")
    maps = ("segmented", "refined", "labels")
    validation = "degraded"

    def __init__(self, config: ConfigDict) -> None:
        """Builds networks and stages.

        Args:
            config: config of `configs/srnet.py`.

        Raises:
            UserError: The config names an unknown dtype, width, mode or weight file, a segmenter of other classes than
                the data's, or a crop that the networks cannot take.
        """
        _check(config)
        dtype = DTYPES[config.compute_dtype]
        self.classes = label_classes(config)
        self._config, self._weights = config, config.weights.to_dict()
        self._networks = SrNetNetworks(config, self.classes, dtype=dtype)
        self._perceptual = PerceptualTerm(config.perceptual_weights, features=SRNET, dtype=dtype)
        self.notes = (self._perceptual.description, self._networks.description)
        self.stages = tuple(stage for stage in self._stages() if stage.steps > 0)

    def _stages(self) -> tuple[Stage, ...]:
        steps, mix = self._config.steps, {"degraded": 1.0}
        segmenter = Update(("segmenter",), self._segmenter_loss)
        map_discriminator = Update(("map_discriminator",), self._map_discriminator_loss)
        image_discriminator, joint_image_discriminator = (
            Update(("image_discriminator",), functools.partial(self._image_discriminator_loss, joint=joint))
            for joint in (False, True)
        )
        refiner = Update(("refiner",), self._refiner_loss)
        restorer = Update(("restorer",), self._restorer_loss)
        both = Update(("refiner", "restorer"), self._joint_loss)
        begin = freeze("segmenter")
        return (
            Stage("segmenter", 0 if self._networks.pretrained_segmenter else steps.segmenter, (segmenter,), mix),
            Stage("refine", steps.refine, (map_discriminator, refiner), mix, begin),
            Stage("restore", steps.restore, (image_discriminator, restorer), mix, begin),
            Stage(
                "joint",
                steps.joint,
                (map_discriminator, joint_image_discriminator, both),
                mix,
                begin,
                rate=self._config.joint_rate,
            ),
        )

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draws parameters, or loads those of `config.init_from`; see `Recipe.init`."""
        params, collections = self._networks.init(key)
        self.ancestries = self._networks.ancestries
        if self._perceptual.params:
            params["vgg19"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, collections

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Converts samples to floats and mirrors them at random; see `degraded_batch`."""
        data = self._config.data
        return degraded_batch(raw, key, flip=train and data.flip, faces=data.faces)

    # --- losses ---------------------------------------------------------------------------------------------------

    def _segmenter_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy on clean photographs."""
        del key
        logits = self._networks.logits(params, collections, batch["target"])
        loss = cross_entropy(logits, batch["labels"], axis_name=AXIS)
        return loss, Aux({"segmenter/loss": loss})

    def _map_discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """D_map: true label maps against refined ones."""
        del key
        refined = self._networks.chain(params, collections, batch["mixture"]).refined
        maps = jax.lax.stop_gradient(jnp.concatenate(self._networks.label_maps(refined, batch["labels"])))
        updates: Tree = {}
        outputs = self._networks.apply("map_discriminator", params, collections, maps, updates=updates)
        return _discriminator_result("map_discriminator", outputs, updates)

    def _image_discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array, *, joint: bool
    ) -> tuple[jax.Array, Aux]:
        """D_img: clean photographs against restored ones."""
        del key
        if joint:
            restored = self._networks.chain(params, collections, batch["mixture"]).restored
        else:
            restored = self._networks.guided(params, collections, batch["mixture"], batch["labels"])
        images = jax.lax.stop_gradient(jnp.concatenate([to_signed(batch["target"]), restored]))
        updates: Tree = {}
        outputs = self._networks.apply("image_discriminator", params, collections, images, updates=updates)
        return _discriminator_result("image_discriminator", outputs, updates)

    def _refiner_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """G_ref: see `sirr_jax.losses.srnet`."""
        del key
        updates: Tree = {}
        refined = self._networks.chain(params, collections, batch["mixture"], updates=updates).refined
        return _generator_result({"refiner": self._refiner_terms(params, collections, batch, refined)}, updates)

    def _restorer_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """G_res under the true labels: see `sirr_jax.losses.srnet`."""
        del key
        restored = self._networks.guided(params, collections, batch["mixture"], batch["labels"])
        return _generator_result({"restorer": self._restorer_terms(params, collections, batch, restored)}, {})

    def _joint_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Both, end to end, and the cross-entropy of the restored photograph's segmentation."""
        del key
        updates: Tree = {}
        outputs = self._networks.chain(params, collections, batch["mixture"], updates=updates)
        terms = {
            "refiner": self._refiner_terms(params, collections, batch, outputs.refined),
            "restorer": self._restorer_terms(params, collections, batch, outputs.restored),
        }
        weight = self._weights["joint"]["consistency"]
        if weight > 0:
            logits = self._networks.logits(params, collections, to_unit(outputs.restored))
            terms["joint"] = {"consistency": weight * cross_entropy(logits, batch["labels"], axis_name=AXIS)}
        return _generator_result(terms, updates)

    def _refiner_terms(self, params: Tree, collections: Tree, batch: Tree, refined: Tree) -> dict[str, jax.Array]:
        true, estimate = self._networks.label_maps(refined, batch["labels"])
        outputs = self._networks.apply("map_discriminator", params, collections, jnp.concatenate([true, estimate]))
        if self._networks.code.mode == "logits":
            supervised = cross_entropy(refined["semantic_logits"], batch["labels"], axis_name=AXIS)
        else:
            supervised = l1(to_unit(estimate), to_unit(true))
        return refiner_terms(outputs, supervised, weights=self._weights["refiner"])

    def _restorer_terms(
        self, params: Tree, collections: Tree, batch: Tree, restored: jax.Array
    ) -> dict[str, jax.Array]:
        image, target = to_unit(restored), batch["target"]
        scores = self._networks.apply("image_discriminator", params, collections, restored)["scores"]
        perceptual, style = self._perceptual.with_style(params.get("vgg19", {}), image, target)
        return restorer_terms(image, target, scores, perceptual, style, weights=self._weights["restorer"])

    # --- results --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns the mixture; S_d, S_r and S_gt in colors; the estimate and the target; see `Recipe.compare`."""
        outputs = self._networks.chain(params, collections, batch["mixture"])
        refined = self._networks.code.decode(self._networks.code.soft(outputs.refined))
        labels = zip(self.maps, (outputs.segmented, refined, batch["labels"]), strict=True)
        maps = {name: self._networks.code.colors(x) for name, x in labels}
        restored = jnp.clip(to_unit(outputs.restored), 0.0, 1.0)
        return {"input": batch["mixture"], **maps, "restored": restored, "target": batch["target"]}

    def segment(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Returns the segmentation of the clean, the degraded and the restored photograph, S_r and the target."""
        outputs = self._networks.chain(params, collections, batch["mixture"])
        labels = functools.partial(self._networks.labels, params, collections)
        return {
            "target": batch["labels"],
            "clean": labels(batch["target"]),
            "input": outputs.segmented,
            "refined": self._networks.code.decode(self._networks.code.soft(outputs.refined)),
            "restored": labels(jnp.clip(to_unit(outputs.restored), 0.0, 1.0)),
        }

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Returns segmenter, refiner and restorer, which restore, and the discriminators in a file of their own."""
        networks = self._networks.export(params, collections)
        exported = {role: networks.pop(role) for role in _EXPORTED}
        return {"discriminators": networks, "srnet": exported}


def _discriminator_result(role: str, outputs: Tree, updates: Tree) -> tuple[jax.Array, Aux]:
    loss = discriminator_loss(outputs)
    real, fake = jnp.split(outputs["scores"], 2)
    return loss, Aux({f"{role}/loss": loss, f"{role}/margin": logit_margin(real, fake)}, updates)


def _generator_result(terms: dict[str, dict[str, jax.Array]], updates: Tree) -> tuple[jax.Array, Aux]:
    scalars = {f"{role}/{name}": value for role, values in terms.items() for name, value in values.items()}
    totals = {f"{role}/loss": add_terms(values) for role, values in terms.items() if role != "joint"}
    return add_terms(scalars), Aux(totals | scalars, updates)


def _check(config: ConfigDict) -> None:
    check_choice(config, "compute_dtype", DTYPES)
    check_choice(config, "initial", _INITIAL)
    check_crop(config, multiple=4, least=SMALLEST)
    check_steps(config)
