"""The only import of TensorFlow for data: without log messages and without a GPU."""

from __future__ import annotations

import os
from types import ModuleType

from sirr_jax.errors import UserError


def load_tensorflow() -> ModuleType:
    """Imports TensorFlow, hides all GPUs from it and silences its startup log.

    Otherwise TensorFlow reserves the GPU memory that JAX needs.

    Returns:
        The module `tensorflow`.

    Raises:
        UserError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # oneDNN logs a message at every log level; loading data needs none of its operations.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError(
            f"config.data.loader=tf needs TensorFlow ({error}): pip install 'sirr_jax[train]', or set "
            "config.data.loader=threads"
        ) from None
    tf.config.set_visible_devices([], "GPU")
    return tf
