"""Segmentation networks of model files."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.models.published_segmenter import list_segmenters
from sirr_jax.recipes.common.pretrained import ancestry_of, load_file
from sirr_jax.weights.model_file import StoredNetwork


def read_segmenter(path: str | Path) -> StoredNetwork:
    """Reads the segmentation network of a file.

    Args:
        path: model file of a training run or of `sirr convert`, or any file that `sirr convert` reads.

    Returns:
        The network with float32 variables; its parents include the file itself.

    Raises:
        UserError: The file contains no segmentation network, or several, or one that was never trained.
    """
    model = load_file(path, "config.segmenter.weights")
    networks = model.networks
    segmenters = [network for network in networks.values() if network.id in list_segmenters()]
    if len(segmenters) != 1:
        raise UserError(
            f"{path} contains {', '.join(network.id for network in networks.values())}; expected one of "
            f"{', '.join(list_segmenters())}: give another model file"
        )
    if segmenters[0].steps == 0:
        raise UserError(
            f"{path} contains a {segmenters[0].id} that was never trained (0 steps); give another model file"
        )
    used = {name: tree for name, tree in segmenters[0].variables.items() if name != "passthrough"}
    ancestry = ancestry_of(model, segmenters[0], str(path))
    return segmenters[0]._replace(
        parents=ancestry.parents, variables=jax.tree.map(lambda x: np.asarray(x, np.float32), used)
    )
