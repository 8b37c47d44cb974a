"""The only import of TensorFlow Datasets; it does not import TensorFlow."""

from __future__ import annotations

from types import ModuleType

from sirr_jax.errors import UserError


def load_tfds() -> ModuleType:
    """Imports TensorFlow Datasets.

    Returns:
        The module `tensorflow_datasets`.

    Raises:
        UserError: TFDS is not installed.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(f"TFDS data sets need tensorflow-datasets ({error}): pip install 'sirr_jax[train]'") from None
    return tfds
