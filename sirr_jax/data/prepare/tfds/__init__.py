"""TensorFlow Datasets (TFDS) builders for local copies of data sets: `tfds.load("sirr_real20")` after `register()`.

Importing this package does not import TFDS. Building and `as_data_source` need TFDS and array_record; only the file
format "tfrecord" and `as_dataset` need TensorFlow itself. Nothing is downloaded.
"""

from __future__ import annotations

from sirr_jax.data.prepare.tfds.builders import builder, register
from sirr_jax.data.prepare.tfds.catalogue import names

__all__ = ["builder", "names", "register"]
