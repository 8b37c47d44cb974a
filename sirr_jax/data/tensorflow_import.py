"""The one door to TensorFlow: quiet, and without a GPU."""

from __future__ import annotations

import os
from types import ModuleType

from sirr_jax.errors import UserError


def load_tensorflow() -> ModuleType:
    """Imports TensorFlow, hides every GPU from it, and silences its start-up log.

    TensorFlow would otherwise reserve the memory of the GPU that JAX computes on.

    Returns:
      The module `tensorflow`.

    Raises:
      UserError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # oneDNN announces itself at every log level; moving arrays about needs none of its operations.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError(
            f"data.loader=tf needs TensorFlow ({error}): pip install 'sirr_jax[train]', or set data.loader=threads"
        ) from None
    tf.config.set_visible_devices([], "GPU")
    return tf
