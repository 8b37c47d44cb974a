"""Names of moving averages of weights in checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Whole words of a name. "avg" alone is not among them: layers for average pooling are called that.
_AVERAGE_WORDS = frozenset({"ema", "emas", "averaged", "average", "averages", "averaging", "shadow", "swa", "polyak"})
_GENERIC_WORDS = frozenset(
    [
        "state",
        "dict",
        "model",
        "models",
        "module",
        "net",
        "network",
        "weights",
        "params",
        "parameters",
        "callbacks",
        "callback",
        "online",
        "live",
        "raw",
    ]
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Arrays that are no parameters, which an average of the parameters alone lacks.
_BUFFERS = frozenset(
    [
        "running_mean",
        "running_var",
        "num_batches_tracked",
        "weight_u",
        "weight_v",
        "_tmp_running_mean",
        "_tmp_running_var",
        "_running_iter",
    ]
)


def is_average_name(component: str) -> bool:
    """Returns whether one component of a name says that it contains a moving average: "model_ema", "EMACallback".

    Args:
        component: key of a dictionary, or a part of it between dots.
    """
    return not _AVERAGE_WORDS.isdisjoint(_words(component))


def similarity(average: str, live: str) -> int:
    """Returns how much the names of an average and of live weights have in common; larger is more.

    Args:
        average: full name of the average.
        live: full name of the live weights.
    """
    a, b = ({*_words(name)} - _AVERAGE_WORDS - _GENERIC_WORDS for name in (average, live))
    return 2 * len(a & b) - len(a ^ b)


def is_buffer(key: str) -> bool:
    """Returns whether an array is a buffer, not a parameter: a running statistic, a counter, a spectral vector.

    Args:
        key: key in a state dict.
    """
    return key.rpartition(".")[2] in _BUFFERS


def complete(average: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any] | None:
    """Completes an average of some arrays of a network by the live weights: an average often has no buffers.

    Args:
        average: tensors by key; keys may also be without dots, as `LitEma` stores them.
        live: complete state dict of the same network.

    Returns:
        A tensor for each key of `live`; None if the average has other keys or shapes.
    """
    dotless = {key.replace(".", ""): key for key in live} if not any("." in key for key in average) else {}
    named = {dotless.get(key, key): tensor for key, tensor in average.items()}
    if not named or any(key not in live or tuple(live[key].shape) != tuple(x.shape) for key, x in named.items()):
        return None
    return {key: named.get(key, tensor) for key, tensor in live.items()}


def match_in_order(average: tuple[Any, ...], live: Mapping[str, Any]) -> dict[str, Any] | None:
    """Names the tensors of an average that was saved as a list: those of the parameters, in their order.

    Args:
        average: tensors.
        live: state dict of the averaged network, in its order.

    Returns:
        Tensors by key; None if number or shapes differ from those of the parameters.
    """
    keys = [key for key in live if not is_buffer(key)]
    if [tuple(live[key].shape) for key in keys] != [tuple(tensor.shape) for tensor in average]:
        return None
    return dict(zip(keys, average, strict=True))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
