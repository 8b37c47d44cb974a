"""Samples made from clean photographs: one interface over syntheses, raindrops and degradations."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.data.degradations import KINDS, degrade
from sirr_jax.data.degradations.contract import at_level
from sirr_jax.data.draws import StreamKey
from sirr_jax.data.raindrops import RaindropOptions, render
from sirr_jax.data.synthesis import SYNTHESES, get_synthesis
from sirr_jax.errors import UserError

# Larger fields (masks, glass maps) would drown the manifest.
_MOST_NUMBERS = 64


class Made(NamedTuple):
    """One sample.

    Attributes:
        images: uint8 `[h, w, 3]` (or `[h, w]`, masks) by the folder that they belong into; the input comes first.
        parameters: what was drawn, as plain numbers and lists; fields of more than 64 numbers are left out.
        kept: whether the published rule of the model keeps the sample.
    """

    images: dict[str, np.ndarray]
    parameters: dict[str, Any]
    kept: bool


class Maker(NamedTuple):
    """How to make samples of one kind.

    Attributes:
        photographs: how many photographs a sample takes, 1 or 2.
        make: `(seed, index, photographs) -> Made`, photographs uint8 `[h, w, 3]` of one size. The same arguments give
            the same bytes.
        options: everything that decides the distribution, as plain values.
    """

    photographs: int
    make: Callable[[int, int, tuple[np.ndarray, ...]], Made]
    options: dict[str, Any]


def kinds() -> tuple[str, ...]:
    """The kinds that `get_maker` knows: syntheses, "raindrops", degradations."""
    return (*SYNTHESES, "raindrops", *KINDS)


def get_maker(kind: str, given: Mapping[str, Any]) -> Maker:
    """Find out how to make samples of a kind.

    Args:
        kind: one of `kinds()`.
        given: options that differ from the published ones. Syntheses and raindrops take the fields of their option
            classes; degradations take `level` (1 to 4; drawn for each sample where it is not given) and
            `resave_jpeg`.

    Raises:
        UserError: if the kind, an option or its value is unknown.
    """
    if kind in SYNTHESES:
        synthesis = get_synthesis(kind)
        options = _options(kind, synthesis.options, given)
        synthesise = jax.jit(functools.partial(synthesis.synthesise, options=options))
        return Maker(2, functools.partial(_mixture, synthesise), dataclasses.asdict(options))
    if kind == "raindrops":
        options = _options(kind, RaindropOptions, given)
        drops = jax.jit(functools.partial(render, options=options))
        return Maker(1, functools.partial(_raindrops, drops), dataclasses.asdict(options))
    if kind in KINDS:
        if given.get("level") is not None:
            at_level(kind, range(1, KINDS[kind].levels + 1), given["level"])
        known = {"level": None, "resave_jpeg": False}
        _check_names(kind, given, list(known))
        options = known | dict(given)
        return Maker(1, functools.partial(_degraded, kind, options), options)
    close = difflib.get_close_matches(kind, kinds(), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known kinds: {', '.join(kinds())}"
    raise UserError(f"nothing of kind {kind!r} can be made; {hint}")


def _key(seed: int, index: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), index)


def _mixture(synthesise: Callable[..., Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]) -> Made:
    transmission, reflection = (jnp.asarray(photograph, jnp.float32) / 255.0 for photograph in photographs)
    made = synthesise(_key(seed, index), transmission, reflection)
    images = {
        "blended": _bytes(made.mixture),
        "transmission_layer": _bytes(made.transmission),
        "reflection_layer": _bytes(made.reflection),
    }
    return Made(images, _numbers(made.parameters), bool(made.kept))


def _raindrops(drops: Callable[..., Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]) -> Made:
    made = drops(_key(seed, index), jnp.asarray(photographs[0], jnp.float32) / 255.0)
    images = {"data": _bytes(made.image), "gt": photographs[0], "mask": _bytes(made.mask[..., 0])}
    return Made(images, _numbers(made.parameters._asdict()), True)


def _degraded(
    kind: str, options: Mapping[str, Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> Made:
    rng = StreamKey(seed, f"degradation/{kind}").generator("sample", index)
    level = int(rng.integers(1, 5)) if options["level"] is None else options["level"]
    made = degrade(photographs[0], kind, level=level, generator=rng, resave_jpeg=options["resave_jpeg"])
    return Made({"degraded": made, "clean": photographs[0]}, {"level": level}, True)


def _bytes(image: jax.Array) -> np.ndarray:
    return np.rint(np.clip(np.asarray(image), 0.0, 1.0) * 255.0).astype(np.uint8)


def _numbers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    arrays = {name: np.asarray(value) for name, value in parameters.items()}
    return {name: value.tolist() for name, value in sorted(arrays.items()) if value.size <= _MOST_NUMBERS}


def _options(kind: str, options_type: type[Any], given: Mapping[str, Any]) -> Any:
    _check_names(kind, given, [field.name for field in dataclasses.fields(options_type)])
    return options_type(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


def _check_names(kind: str, given: Mapping[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"{kind} has no option {name!r}; it takes {', '.join(known)}")
