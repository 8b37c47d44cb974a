"""Where published weights come from."""

from __future__ import annotations

from typing import NamedTuple


class PretrainedInfo(NamedTuple):
    """Provenance of published weights.

    Attributes:
        repository: GitHub repository, owner/name; empty if there is none.
        license: license that the repository states for code and weights.
        weights: files with the weights and where they are linked.
    """

    repository: str
    license: str
    weights: str


SELF_TRAINED = PretrainedInfo("", "yours, if you trained it", "none published")
"""Provenance of a network for which nobody published weights."""
