"""VGG-19 of a student's hypercolumn: the weights of a file, and the test whether a model file contains them."""

from __future__ import annotations

from sirr_jax.errors import UserError
from sirr_jax.models.dynamics.hypercolumn import VGG_LAYERS
from sirr_jax.recipes.common.pretrained import load_file
from sirr_jax.weights.pretrained_vgg import VggWeights, read_vgg

_OPTION = "config.student.hypercolumn"


def read_hypercolumn(path: str) -> VggWeights | None:
    """Reads the VGG-19 layers that `Hypercolumn` uses.

    Args:
        path: weight file, or "" for none.

    Returns:
        The weights; None for the path "".

    Raises:
        UserError: The file cannot be used or ends before the last of these layers.
    """
    if not path:
        return None
    weights = read_vgg(path, "vgg19", option=_OPTION)
    if len(weights.layers) < len(VGG_LAYERS):
        raise UserError(
            f"{path} ends at {weights.layers[-1]}, and the hypercolumn needs the layers up to {VGG_LAYERS[-1]}; "
            f"give {_OPTION} a more complete file"
        )
    return weights._replace(params={name: weights.params[name] for name in VGG_LAYERS}, layers=VGG_LAYERS)


def has_hypercolumn(path: str) -> bool:
    """Returns whether the student in a model file has a hypercolumn; False where there is no student.

    Args:
        path: model file, or any file that `sirr convert` reads.

    Raises:
        UserError: The file cannot be read.
    """
    student = load_file(path, "config.student.init_from").networks.get("student")
    return student is not None and bool(student.model_args.get("hypercolumn"))
