"""Several processes of one run: errors of one end all, and all take the values of process 0."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.training.preemption import Interrupted

_BYTES = 2048  # of a message
_FINE, _FAILED, _STOPPED = range(3)


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """Ends all processes of a run if the body fails on one of them; without it, the others would wait for that one.

    All processes must enter it, and the body must not contain a collective.

    Raises:
        UserError: The body failed on another process; the message names it and contains its message.
        Interrupted: Another process was asked to stop.
    """
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        if jax.process_count() == 1:
            raise
        failure = error
    if jax.process_count() == 1:
        return
    outcomes = _exchange(failure)
    if failure is not None:
        raise failure
    for index, (outcome, message) in enumerate(outcomes):
        if outcome == _STOPPED:
            raise Interrupted(f"process {index} received {message}")
        if outcome == _FAILED:
            raise UserError(f"process {index} of the run has ended: {message}")


def from_first(tree: Any) -> Any:
    """Returns process 0's values on all processes, bit for bit.

    Args:
        tree: tree of arrays; that of other processes has the same structure, shapes and dtypes.

    Returns:
        Tree of NumPy arrays; `tree` itself if there is one process.
    """
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    # As bytes: the sum by which JAX broadcasts would turn -0.0 into 0.0.
    parts = [np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in leaves]
    received = np.asarray(multihost_utils.broadcast_one_to_all(np.concatenate(parts)))
    ends = np.cumsum([part.size for part in parts])
    values = [
        received[end - part.size : end].copy().view(leaf.dtype).reshape(leaf.shape)
        for leaf, part, end in zip(leaves, parts, ends, strict=True)
    ]
    return jax.tree.unflatten(structure, values)


def _exchange(failure: BaseException | None) -> list[tuple[int, str]]:
    """Returns outcome and message of every process."""
    from jax.experimental import multihost_utils

    outcome, message = _FINE, ""
    if isinstance(failure, Interrupted):
        outcome, message = _STOPPED, str(failure)
    elif failure is not None:
        kind = "" if isinstance(failure, UserError) else f"{type(failure).__name__}: "
        outcome, message = _FAILED, kind + " ".join(str(failure).split())
    text = message.encode()[:_BYTES]
    record = np.zeros(1 + _BYTES, np.uint8)
    record[0] = outcome
    record[1 : 1 + len(text)] = np.frombuffer(text, np.uint8)
    records = np.asarray(multihost_utils.process_allgather(record)).reshape(-1, 1 + _BYTES)
    return [(int(row[0]), row[1:].tobytes().rstrip(b"\0").decode(errors="replace")) for row in records]
