"""How label maps enter SR-Net: as classes or as colors."""

from __future__ import annotations

from sirr_jax.errors import UserError

MODES = ("logits", "palette")


def label_channels(mode: str, classes: int) -> int:
    """Channels of a label map: one per class, or the three of a palette's colors.

    Raises:
        UserError: if there is no such mode, or less than two classes.
    """
    if mode not in MODES:
        raise UserError(f"SR-Net has no mode {mode!r}; choose one of {', '.join(MODES)}")
    if classes < 2:
        raise UserError(f"SR-Net cannot tell {classes} classes apart; give at least 2")
    return classes if mode == "logits" else 3


def check_labels(channels: int, mode: str, classes: int) -> None:
    """Refuse a label map with another number of channels than the mode's.

    Raises:
        UserError: names what was given and what is expected.
    """
    expected = label_channels(mode, classes)
    if channels != expected:
        kind = f"one channel for each of {classes} classes" if mode == "logits" else "the 3 channels of palette colors"
        raise UserError(f"the label map has {channels} channels; in mode {mode!r} SR-Net takes {kind}")
