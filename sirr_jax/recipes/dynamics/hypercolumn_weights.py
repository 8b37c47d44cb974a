"""VGG-19 for a student's hypercolumn: its weights from a file, and whether a model file has them already."""

from __future__ import annotations

from sirr_jax.errors import UserError
from sirr_jax.models.dynamics.hypercolumn import VGG_LAYERS
from sirr_jax.weights.model_file import load_model
from sirr_jax.weights.pretrained_vgg import VggWeights, read_vgg

_OPTION = "config.student.hypercolumn"


def read_column(path: str) -> VggWeights | None:
    """Read the layers that `Hypercolumn` uses; None for the path "".

    Raises:
        UserError: if the file cannot be used or ends before them.
    """
    if not path:
        return None
    weights = read_vgg(path, "vgg19", option=_OPTION)
    if len(weights.layers) < len(VGG_LAYERS):
        raise UserError(
            f"{path} ends at {weights.layers[-1]}, the hypercolumn at {VGG_LAYERS[-1]}; "
            f"give {_OPTION} a more complete file"
        )
    return weights._replace(params={name: weights.params[name] for name in VGG_LAYERS}, layers=VGG_LAYERS)


def holds_column(path: str) -> bool:
    """Whether the student in a model file has a hypercolumn; False where there is no student.

    Raises:
        UserError: if the file cannot be read.
    """
    student = load_model(path).networks.get("student")
    return student is not None and bool(student.model_args.get("hypercolumn"))
