"""Label maps of SR-Net: as classes or as colors."""

from __future__ import annotations

from sirr_jax.errors import UserError

MODES = ("logits", "palette")


def label_channels(mode: str, classes: int) -> int:
    """Returns the channels of a label map: one per class, or three for the colors of a palette.

    Raises:
        UserError: The mode is unknown, or `classes` is less than 2.
    """
    if mode not in MODES:
        raise UserError(f"SR-Net has no mode {mode!r}; choose one of {', '.join(MODES)}")
    if classes < 2:
        raise UserError(f"classes is {classes}; SR-Net needs at least 2 classes")
    return classes if mode == "logits" else 3


def check_labels(channels: int, mode: str, classes: int) -> None:
    """Checks the channels of a label map.

    Raises:
        UserError: The label map does not have the channels of the mode.
    """
    expected = label_channels(mode, classes)
    if channels != expected:
        layout = (
            f"one channel for each of {classes} classes" if mode == "logits" else "the 3 channels of palette colors"
        )
        raise UserError(f"the label map has {channels} channels; in mode {mode!r} SR-Net takes {layout}")
