"""SR-Net: refine the labels of a degraded photograph, then restore it under their guidance.

Xia, Cheng, Yang, Xue 2019, arXiv 1911.00679; SR-Net specification, sections 2 to 4. Of the original only the two
stages, what they take and return and that each has a discriminator are known: losses, weights, schedule and layers
are a reconstruction, and results are results of the reconstruction, never of the paper's model.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.losses.adversarial import logit_margin
from sirr_jax.losses.pixel import l1
from sirr_jax.losses.segmentation import cross_entropy
from sirr_jax.losses.srnet import discriminator_loss, refiner_terms, restorer_terms
from sirr_jax.recipes.base import AXIS, Aux, Recipe, Stage, Tree, Update
from sirr_jax.recipes.common.config_checks import DTYPES, check_choice, check_crop, check_steps, freeze, label_classes
from sirr_jax.recipes.common.perceptual import SRNET, PerceptualTerm
from sirr_jax.recipes.srnet.batch import degraded_batch
from sirr_jax.recipes.srnet.forward import signed, unsigned
from sirr_jax.recipes.srnet.networks import SMALLEST, SrNetNetworks
from sirr_jax.weights.model_file import StoredNetwork

_INITIAL = ("normal", "he")
_SHIPPED = ("segmenter", "refiner", "restorer")


class SrNet(Recipe):
    """Segmenter, refiner, restorer, two discriminators and their stages.

    Stages: `segmenter` (our own, on clean photographs; left out where a model file gives one), `refine` (the refiner
    and the maps' discriminator), `restore` (the restorer, which is shown the true labels, and the images'
    discriminator), `joint` (both end to end, the restorer shown the refined labels, at a tenth of the learning rate).
    From `refine` on the segmenter is frozen; it labels the degraded photograph inside the step.
    """

    name = "srnet"
    panels = ("input", "segmented", "refined", "labels", "restored", "target")
    maps = ("segmented", "refined", "labels")
    validation = "degraded"

    def __init__(self, config: ConfigDict) -> None:
        """Build networks and stages; `config` as `configs/srnet.py` makes it.

        Raises:
            UserError: if the config names an unknown precision, width, mode or weight file, a segmenter of other
                classes than the data's, or a crop that the networks cannot take.
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
        segment = Update(("segmenter",), self._segmenter_loss)
        judge_map = Update(("map_discriminator",), self._map_discriminator_loss)
        judge_image = functools.partial(self._image_discriminator_loss, joint=False)
        judge_answer = functools.partial(self._image_discriminator_loss, joint=True)
        begin = freeze("segmenter")
        return (
            Stage("segmenter", 0 if self._networks.given else steps.segmenter, (segment,), mix),
            Stage("refine", steps.refine, (judge_map, Update(("refiner",), self._refiner_loss)), mix, begin),
            Stage(
                "restore",
                steps.restore,
                (Update(("image_discriminator",), judge_image), Update(("restorer",), self._restorer_loss)),
                mix,
                begin,
            ),
            Stage(
                "joint",
                steps.joint,
                (
                    judge_map,
                    Update(("image_discriminator",), judge_answer),
                    Update(("refiner", "restorer"), self._joint_loss),
                ),
                mix,
                begin,
                rate=self._config.joint_rate,
            ),
        )

    # --- state ----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> tuple[Tree, Tree]:
        """Draw parameters, or take those that `config.init_from` has; see `Recipe.init`."""
        params, collections = self._networks.init(key)
        if self._perceptual.params:
            params["vgg19"] = jax.tree.map(jnp.copy, self._perceptual.params)
        return params, collections

    def prepare(self, raw: Tree, key: jax.Array, *, train: bool = True) -> Tree:
        """Floats, mirrored at random; see `degraded_batch`."""
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
        maps = jax.lax.stop_gradient(jnp.concatenate(self._networks.compared(refined, batch["labels"])))
        moved: Tree = {}
        verdict = self._networks.apply("map_discriminator", params, collections, maps, moved=moved)
        return _judged("map_discriminator", verdict, moved)

    def _image_discriminator_loss(
        self, params: Tree, collections: Tree, batch: Tree, key: jax.Array, *, joint: bool
    ) -> tuple[jax.Array, Aux]:
        """D_img: clean photographs against restored ones."""
        del key
        if joint:
            restored = self._networks.chain(params, collections, batch["mixture"]).restored
        else:
            restored = self._networks.guided(params, collections, batch["mixture"], batch["labels"])
        images = jax.lax.stop_gradient(jnp.concatenate([signed(batch["target"]), restored]))
        moved: Tree = {}
        verdict = self._networks.apply("image_discriminator", params, collections, images, moved=moved)
        return _judged("image_discriminator", verdict, moved)

    def _refiner_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """G_ref: see `sirr_jax.losses.srnet`."""
        del key
        moved: Tree = {}
        refined = self._networks.chain(params, collections, batch["mixture"], moved=moved).refined
        return _summed({"refiner": self._refiner_terms(params, collections, batch, refined)}, moved)

    def _restorer_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """G_res under the true labels: see `sirr_jax.losses.srnet`."""
        del key
        restored = self._networks.guided(params, collections, batch["mixture"], batch["labels"])
        return _summed({"restorer": self._restorer_terms(params, collections, batch, restored)}, {})

    def _joint_loss(self, params: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Both, end to end; and the restored photograph must be segmented as the target says."""
        del key
        moved: Tree = {}
        found = self._networks.chain(params, collections, batch["mixture"], moved=moved)
        terms = {
            "refiner": self._refiner_terms(params, collections, batch, found.refined),
            "restorer": self._restorer_terms(params, collections, batch, found.restored),
        }
        weight = self._weights["joint"]["consistency"]
        if weight > 0:
            logits = self._networks.logits(params, collections, unsigned(found.restored))
            terms["joint"] = {"consistency": weight * cross_entropy(logits, batch["labels"], axis_name=AXIS)}
        return _summed(terms, moved)

    def _refiner_terms(self, params: Tree, collections: Tree, batch: Tree, refined: Tree) -> dict[str, jax.Array]:
        true, shown = self._networks.compared(refined, batch["labels"])
        verdict = self._networks.apply("map_discriminator", params, collections, jnp.concatenate([true, shown]))
        if self._networks.code.mode == "logits":
            supervised = cross_entropy(refined["semantic_logits"], batch["labels"], axis_name=AXIS)
        else:
            supervised = l1(unsigned(shown), unsigned(true))
        return refiner_terms(verdict, supervised, weights=self._weights["refiner"])

    def _restorer_terms(
        self, params: Tree, collections: Tree, batch: Tree, restored: jax.Array
    ) -> dict[str, jax.Array]:
        image, target = unsigned(restored), batch["target"]
        scores = self._networks.apply("image_discriminator", params, collections, restored)["scores"]
        distances = self._perceptual.with_style(params.get("vgg19", {}), image, target)
        return restorer_terms(image, target, scores, *distances, weights=self._weights["restorer"])

    # --- answers --------------------------------------------------------------------------------------------------

    def compare(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """Degraded photograph; S_d, S_r and S_gt in colors; the estimate; target."""
        found = self._networks.chain(params, collections, batch["mixture"])
        refined = self._networks.code.decode(self._networks.code.soft(found.refined))
        labels = zip(self.maps, (found.segmented, refined, batch["labels"]), strict=True)
        shown = {name: self._networks.code.colors(x) for name, x in labels}
        restored = jnp.clip(unsigned(found.restored), 0.0, 1.0)
        return {"input": batch["mixture"], **shown, "restored": restored, "target": batch["target"]}

    def segment(self, params: Tree, collections: Tree, batch: Tree) -> dict[str, jax.Array]:
        """What the segmenter finds in the clean, the degraded and the restored photograph; S_r; the target."""
        found = self._networks.chain(params, collections, batch["mixture"])
        labels = functools.partial(self._networks.labels, params, collections)
        return {
            "target": batch["labels"],
            "clean": labels(batch["target"]),
            "input": found.segmented,
            "refined": self._networks.code.decode(self._networks.code.soft(found.refined)),
            "restored": labels(jnp.clip(unsigned(found.restored), 0.0, 1.0)),
        }

    def exports(self, params: Tree, collections: Tree) -> dict[str, dict[str, StoredNetwork]]:
        """Segmenter, refiner and restorer, which restore; the discriminators, apart."""
        networks = self._networks.export(params, collections)
        shipped = {role: networks.pop(role) for role in _SHIPPED}
        return {"discriminators": networks, "srnet": shipped}


def _judged(role: str, verdict: Tree, moved: Tree) -> tuple[jax.Array, Aux]:
    loss = discriminator_loss(verdict)
    real, fake = jnp.split(verdict["scores"], 2)
    return loss, Aux({f"{role}/loss": loss, f"{role}/margin": logit_margin(real, fake)}, moved)


def _summed(terms: dict[str, dict[str, jax.Array]], moved: Tree) -> tuple[jax.Array, Aux]:
    scalars = {f"{role}/{name}": value for role, own in terms.items() for name, value in own.items()}
    totals = {f"{role}/loss": sum(own.values()) for role, own in terms.items() if role != "joint"}
    return sum(scalars.values()), Aux(totals | scalars, moved)


def _check(config: ConfigDict) -> None:
    check_choice(config, "compute_dtype", DTYPES)
    check_choice(config, "initial", _INITIAL)
    check_crop(config, multiple=4, least=SMALLEST)
    check_steps(config)
