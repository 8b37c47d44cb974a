"""Random choices as functions of (seed, kind, position), without state to save or restore."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StreamKey:
    """The key of the random choices of one kind of sample; with a position it determines them.

    Attributes:
        seed: any integer; only its lowest 64 bits count.
        kind: kind of sample, such as "layers".
    """

    seed: int
    kind: str

    def generator(self, purpose: str, counter: int) -> np.random.Generator:
        """Returns an independent generator for each purpose and counter (Philox, counter-based).

        Args:
            purpose: name of the purpose; generators of different purposes are independent.
            counter: position or epoch, 0 or more.

        Returns:
            A new generator.
        """
        digest = hashlib.blake2b(f"{self.kind}/{purpose}".encode(), digest_size=8).digest()
        key = np.array([self.seed % 2**64, int.from_bytes(digest, "little")], np.uint64)
        # The lowest word counts the draws of one generator; the second word is the counter of the caller.
        block = np.array([0, counter, 0, 0], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=block))


@functools.lru_cache(maxsize=8)
def epoch_order(key: StreamKey, epoch: int, count: int) -> np.ndarray:
    """Returns the order in which an epoch visits `count` items: a permutation, int64 `[count]`, read-only."""
    order = key.generator("order", epoch).permutation(count)
    order.flags.writeable = False
    return order


def item_at(key: StreamKey, position: int, count: int) -> int:
    """Returns the item at a position of the endless stream; each epoch of `count` positions visits every item once."""
    epoch, place = divmod(position, count)
    return int(epoch_order(key, epoch, count)[place])


def two_items_at(key: StreamKey, position: int, count: int) -> tuple[int, int]:
    """Returns two different items at a position (the same item twice if there is only one).

    Each epoch of `count` positions visits every item once as the first and once as the second.
    """
    epoch, place = divmod(position, count)
    order = epoch_order(key, epoch, count)
    return int(order[place]), int(order[(place + 1) % count])
