"""`Restorer`: a trained network applied to photos of any size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.inference.guided_resize import LEAST_MAX_SIDE, enlarge, reduce, reduced_size
from sirr_jax.inference.self_ensemble import check_count, self_ensemble
from sirr_jax.models.registry import build, get_restoration
from sirr_jax.weights.model_file import Model, StoredNetwork, load_model
from sirr_jax.weights.variables import flatten, variable_shapes

PACKAGED = Path(__file__).parent / "packaged" / "student.safetensors"
"""Model file of the bundled student; its card is beside it."""

_SMALLEST = 16
_DEFAULT_MAX_SIDE = 1536
_MAX_PROGRAMS = 8
_ROUNDING = 1e-5  # tolerance for inputs outside [0, 1]: the error of float32 arithmetic


class Restored(NamedTuple):
    """Layers of a photo: NumPy arrays of the input's height, width and rank, float32 in [0, 1].

    Attributes:
        restored: transmission layer.
        reflection: reflection layer; None if the network estimates none.
        maps: further estimates by name (attention, edges, ...); empty for most networks.
    """

    restored: np.ndarray
    reflection: np.ndarray | None
    maps: dict[str, np.ndarray]


class Restorer:
    """Callable that removes the degradation that its network was trained on.

    Compiles one program per image size (a second one for sizes that are not square with eight symmetries) and keeps
    the programs of the eight most recent sizes, about 30 MB each.

    Attributes:
        model: contents of the model file.
        max_side: longer side in pixels above which photos are processed at reduced size; None for no limit.
        self_ensemble: number of flips and rotations to average over.
    """

    def __init__(self, model: Model, *, max_side: int | None = None, self_ensemble: int | None = None) -> None:
        """Builds the networks of a model file.

        Args:
            model: contents of a model file, see `sirr_jax.weights.model_file`.
            max_side: longer side in pixels above which photos are processed at reduced size, see
                `sirr_jax.inference.guided_resize`; 0 for no limit, None for the model's recommended size, or 1536.
            self_ensemble: number of flips and rotations to average over, 1, 2, 4 or 8, see
                `sirr_jax.inference.self_ensemble`; None for the model's recommended number, or 1.

        Raises:
            UserError: The networks do not restore single images, one is missing, their variables do not fit,
                `max_side` is too small, or `self_ensemble` is another number.
        """
        self.self_ensemble = model.self_ensemble if self_ensemble is None else self_ensemble
        check_count(self.self_ensemble)
        limit = (model.max_side or _DEFAULT_MAX_SIDE if max_side is None else max_side) or None
        if limit is not None and limit < LEAST_MAX_SIDE:
            raise UserError(f"max_side is {limit}; choose {LEAST_MAX_SIDE} pixels or more, or 0 for no limit")
        self.model, self.max_side = model, limit
        restoration = get_restoration(model.recipe)
        modules = {role: build(network.id, **network.model_args) for role, network in model.networks.items()}
        required = restoration.required(modules)
        missing = [role for role in required if role not in modules]
        if missing:
            raise UserError(
                f"the model contains {', '.join(n.id for n in model.networks.values())}, which does not restore single "
                f"images without {model.recipe}'s {' and '.join(missing)}; load the file that has it, or convert them "
                "together"
            )
        modules = {role: modules[role] for role in required}
        variables = {role: _checked_variables(model.networks[role]) for role in required}

        def restore(variables: dict[str, Any], image: jax.Array) -> dict[str, jax.Array]:
            bound = {role: module.bind(variables[role]) for role, module in modules.items()}
            _, height, width, _ = image.shape
            outputs = restoration.restore(bound, image)
            return {name: jnp.clip(x[:, :height, :width], 0.0, 1.0) for name, x in outputs.items()}

        self._restore: Any = jax.jit(restore)  # JAX declares no `clear_cache`
        self._variables = jax.device_put(variables)
        self._programs: OrderedDict[tuple[int, ...], Callable[..., dict[str, jax.Array]]] = OrderedDict()

    def __call__(self, image: np.ndarray | jax.Array) -> Restored:
        """Restores one photo or a batch of photos of one size.

        Args:
            image: RGB [H, W, 3] or [N, H, W, 3], at least 16 px a side; uint8, or floats in [0, 1] up to rounding.

        Raises:
            UserError: The shape, the dtype or the range is another one.
        """
        image = np.asarray(image)
        if not image.ndim:
            raise UserError(f"the image is {image.item()!r}; expected an array, RGB [H, W, 3] or [N, H, W, 3]")
        single = image.ndim == 3
        batch = _checked(image[None] if single else image)
        outputs = self._restored(batch)
        if single:
            outputs = {name: x[0] for name, x in outputs.items()}
        return Restored(outputs.pop("restored"), outputs.pop("reflection", None), outputs)

    def _restored(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        full = batch.shape[1], batch.shape[2]
        size = full if self.max_side is None else reduced_size(*full, self.max_side)
        inputs = batch if size == full else np.stack([reduce(image, size) for image in batch])
        outputs = self_ensemble(self._predict, inputs, self.self_ensemble)
        if size == full:
            return outputs
        residuals = outputs.pop("restored") - inputs
        enlarged = {name: np.stack([enlarge(x, full) for x in images]) for name, images in outputs.items()}
        for image, residual in zip(batch, residuals, strict=True):
            # In place, because twelve megapixels take 144 MB; `_checked` has copied the batch.
            image += enlarge(residual, full)
            np.clip(image, 0.0, 1.0, out=image)
        return {"restored": batch} | {name: np.clip(x, 0.0, 1.0) for name, x in enlarged.items()}

    def _predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        program = self._programs.pop(batch.shape, None)
        if program is None:
            program = self._restore.lower(self._variables, batch).compile()
        self._programs[batch.shape] = program
        if len(self._programs) > _MAX_PROGRAMS:
            self._programs.popitem(last=False)
            self._restore.clear_cache()  # otherwise JAX keeps the program
        # Copies, because callers may write into the results.
        return {name: np.array(x) for name, x in program(self._variables, batch).items()}


def load(path: str | Path | None = None, *, max_side: int | None = None, self_ensemble: int | None = None) -> Restorer:
    """Makes a `Restorer` from a `.safetensors` file that a training run or `sirr convert` wrote.

    Args:
        path: model file; None for the bundled student.
        max_side: longer side in pixels above which photos are processed at reduced size, see `Restorer`.
        self_ensemble: number of flips and rotations to average over, see `Restorer`.

    Raises:
        UserError: The file is missing or damaged, or its networks do not restore single images.
    """
    return Restorer(load_model(PACKAGED if path is None else path), max_side=max_side, self_ensemble=self_ensemble)


def _checked_variables(network: StoredNetwork) -> dict[str, Any]:
    """Returns the variables that the network uses, in float32, without those it passes through."""
    expected = flatten(variable_shapes(network.id, **network.model_args))
    used = {name: tree for name, tree in network.variables.items() if name != "passthrough"}
    if {path: x.shape for path, x in flatten(used).items()} != {path: x.shape for path, x in expected.items()}:
        raise UserError(
            f"the variables do not fit {network.id} {network.model_args}; export or convert the model again"
        )
    return jax.tree.map(lambda x: np.asarray(x, np.float32), used)


def _checked(batch: np.ndarray) -> np.ndarray:
    """Returns a float32 copy of the batch in [0, 1]."""
    if batch.ndim != 4 or batch.shape[-1] != 3:
        shape = batch.shape[1:] if batch.shape[:1] == (1,) else batch.shape
        raise UserError(f"the image has shape {shape}; expected RGB [H, W, 3] or [N, H, W, 3]")
    if min(batch.shape[1:3]) < _SMALLEST:
        height, width = batch.shape[1:3]
        raise UserError(f"the image is {width}x{height} px; at least {_SMALLEST} px a side are needed")
    if batch.dtype == np.uint8:
        return batch.astype(np.float32) / np.float32(255)
    if not jnp.issubdtype(batch.dtype, jnp.floating):
        raise UserError(f"the image has dtype {batch.dtype}; expected uint8, or floats in [0, 1]")
    low, high = float(batch.min()), float(batch.max())
    if not (low >= -_ROUNDING and high <= 1.0 + _ROUNDING):
        raise UserError(f"the image's values lie in [{low:g}, {high:g}]; expected [0, 1], or uint8")
    return np.clip(batch.astype(np.float32), 0.0, 1.0)
