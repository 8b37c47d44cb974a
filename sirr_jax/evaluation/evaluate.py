"""Scores methods on data sets, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sirr_jax.data.images.decode import read_image
from sirr_jax.errors import UserError
from sirr_jax.evaluation.datasets import Pair, TestSet
from sirr_jax.evaluation.methods import Method
from sirr_jax.evaluation.score_table import Key, Row, ScoreTable
from sirr_jax.metrics import score
from sirr_jax.metrics.protocols import protocol_name

Progress = Callable[[str, int], None]
"""`progress(name of the set, images done in all sets)`."""


def evaluate(
    test_sets: Sequence[TestSet],
    methods: Sequence[Method],
    protocols: Sequence[str],
    table: ScoreTable,
    *,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Scores every method on every pair and adds the rows that the table lacks.

    Args:
        test_sets: sets.
        methods: methods; the input is one of them.
        protocols: names of protocols.
        table: table to add to.
        progress: function that is called after each image; None for none.

    Returns:
        Method -> number of pictures that it does not have.

    Raises:
        UserError: A picture is unreadable, or the sizes of a pair or of a restored picture differ.
    """
    protocols = tuple(dict.fromkeys(map(protocol_name, protocols)))
    done, missing = 0, dict[str, int]()
    for test_set in test_sets:
        open_pairs = [
            pair
            for pair in test_set.pairs
            if any(_key(test_set, pair, c, p) not in table.rows for c in methods for p in protocols)
        ]
        done += len(test_set.pairs) - len(open_pairs)
        for pair, (mixture, target) in _decoded(open_pairs):
            for method in methods:
                keys = {protocol: _key(test_set, pair, method, protocol) for protocol in protocols}
                if all(key in table.rows for key in keys.values()):
                    continue
                restored = method.restore(test_set, pair, mixture)
                if restored is None:
                    missing[method.name] = missing.get(method.name, 0) + 1
                    continue
                if restored.shape != target.shape:
                    raise UserError(
                        f"{method.name}: the picture {pair.name} of {test_set.name} is {_size(restored)}, and its "
                        f"target {pair.target} {_size(target)}; no protocol resizes: give pictures of the same size"
                    )
                for protocol, key in keys.items():
                    scores = score(restored.astype(np.float64), target, protocol=protocol)
                    values = {name: float(value) for name, value in scores.items()}
                    table.add(Row(key, target.shape[:2], values))
            done += 1
            if progress:
                progress(test_set.name, done)
    return missing


def _key(test_set: TestSet, pair: Pair, method: Method, protocol: str) -> Key:
    return Key(test_set.name, pair.name, method.name, method.sha256, protocol)


def _decoded(pairs: Sequence[Pair]) -> Iterator[tuple[Pair, tuple[np.ndarray, np.ndarray]]]:
    """Yields pairs with their decoded pictures; the next one is decoded meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(_read, pair) for pair in pairs[:1]]
        for i, pair in enumerate(pairs):
            ahead += [pool.submit(_read, later) for later in pairs[i + 1 : i + 2]]
            yield pair, ahead.pop(0).result()


def _read(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    mixture, target = read_image(pair.mixture), read_image(pair.target)
    if mixture.shape != target.shape:
        raise UserError(
            f"{pair.mixture} is {_size(mixture)}, and its target {pair.target} {_size(target)}; no protocol resizes: "
            "give pictures of the same size"
        )
    return mixture.astype(np.float32) / np.float32(255), target.astype(np.float64) / 255


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]} px"


def default_out(sets: Sequence[str]) -> Path:
    """Returns the folder for the results where none is named: `runs/evaluate/NAME` of the first set."""
    return Path("runs") / "evaluate" / (Path(sets[0].split("#")[0]).name or "set")
