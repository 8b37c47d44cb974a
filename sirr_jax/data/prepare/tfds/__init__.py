"""Data sets that a user holds as TensorFlow Datasets: `tfds.load("sirr_real20")` after `register()`.

TFDS is imported by the functions, not by the import of this package. Building and `as_data_source` need TFDS and
array_record; TensorFlow itself only for the file format "tfrecord" and for `as_dataset`. Nothing is downloaded.
"""

from __future__ import annotations

from sirr_jax.data.prepare.tfds.builders import builder, register
from sirr_jax.data.prepare.tfds.catalogue import names

__all__ = ["builder", "names", "register"]
