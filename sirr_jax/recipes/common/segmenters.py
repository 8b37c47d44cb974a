"""Segmentation networks of model files."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.models.published_segmenter import list_segmenters
from sirr_jax.weights.model_file import StoredNetwork, load_model


def read_segmenter(path: str | Path) -> StoredNetwork:
    """Reads the segmentation network of a model file that `sirr convert` or a training run wrote.

    Args:
        path: `.safetensors` model file.

    Returns:
        The network with float32 variables.

    Raises:
        UserError: The file contains no segmentation network, or several.
    """
    networks = load_model(path).networks
    segmenters = [network for network in networks.values() if network.id in list_segmenters()]
    if len(segmenters) != 1:
        raise UserError(
            f"{path} contains {', '.join(network.id for network in networks.values())}; expected one of "
            f"{', '.join(list_segmenters())}: give another model file"
        )
    used = {name: tree for name, tree in segmenters[0].variables.items() if name != "passthrough"}
    return segmenters[0]._replace(variables=jax.tree.map(lambda x: np.asarray(x, np.float32), used))
