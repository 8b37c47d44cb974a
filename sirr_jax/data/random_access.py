"""Random choices as functions of (seed, kind, position): nothing to save, nothing to restore."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StreamKey:
    """What the random choices of one kind of sample depend on, besides the position.

    Attributes:
      seed: Any integer; its lowest 64 bits count.
      kind: Name of the kind, such as "layers".
    """

    seed: int
    kind: str

    def generator(self, purpose: str, counter: int) -> np.random.Generator:
        """Returns a generator of its own for each purpose and counter (Philox: counter-based).

        Args:
          purpose: Keeps choices of different purposes independent.
          counter: A position or an epoch, 0 or more.
        """
        digest = hashlib.blake2b(f"{self.kind}/{purpose}".encode(), digest_size=8).digest()
        key = np.array([self.seed % 2**64, int.from_bytes(digest, "little")], np.uint64)
        # The lowest word counts the draws of one generator; the next one belongs to the caller.
        block = np.array([0, counter, 0, 0], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=block))


@functools.lru_cache(maxsize=8)
def epoch_order(key: StreamKey, epoch: int, count: int) -> np.ndarray:
    """Order in which an epoch visits `count` items: int64 `[count]`, a permutation, read-only."""
    order = key.generator("order", epoch).permutation(count)
    order.flags.writeable = False
    return order


def item_at(key: StreamKey, position: int, count: int) -> int:
    """Item at a position of the endless stream; every item occurs once in each epoch of `count` positions."""
    epoch, place = divmod(position, count)
    return int(epoch_order(key, epoch, count)[place])


def two_items_at(key: StreamKey, position: int, count: int) -> tuple[int, int]:
    """Two different items at a position (the same one twice if there is only one).

    In each epoch of `count` positions every item occurs once as the first and once as the second.
    """
    epoch, place = divmod(position, count)
    order = epoch_order(key, epoch, count)
    return int(order[place]), int(order[(place + 1) % count])
