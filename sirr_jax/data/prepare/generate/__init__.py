"""Generation of samples from clean photos: one interface to reflection models, raindrops and degradations."""

from __future__ import annotations

from sirr_jax.data.prepare.generate.base import GeneratedSample, SampleGenerator
from sirr_jax.data.prepare.generate.registry import get_generator, kinds

__all__ = ["GeneratedSample", "SampleGenerator", "get_generator", "kinds"]
