"""Config keys and values of the first edition (0.1) and their present names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# (pattern of a whole dotted key, present key); the first match counts.
_KEYS = (
    (r"optimiser((?:\.networks\.\w+)?)\.kind", r"optimizer\1.name"),
    (r"optimiser((?:\.networks\.\w+)?)\.halve_every", r"optimizer\1.step_size"),
    (r"optimiser((?:\.networks\.\w+)?)\.rates", r"optimizer\1.lr_mults"),
    (r"optimiser((?:\.networks\.\w+)?)\.epsilon", r"optimizer\1.eps"),
    (r"optimiser((?:\.networks\.\w+)?)\.weight_decay", r"optimizer\1.l2"),
    (r"optimiser(|\..+)", r"optimizer\1"),
    ("accumulate", "grad_accum_steps"),
    ("steps_per_call", "scan_steps"),
    ("evaluate_every", "eval_every"),
    ("panels_every", "log_images_every"),
    ("keep", "max_to_keep"),
    ("precision", "compute_dtype"),
    ("reconstruction_error", "pixel_loss"),
    (r"without\.transfer", "distill.enabled"),
    (r"without(|\..+)", r"ablate\1"),
    ("start_from", "init_from"),
    (r"(teacher|student)\.weights_file", r"\1.init_from"),
    (r"teacher\.grown", "teacher.init_from_student"),
    (r"student\.first_steps", "student.pretrain_steps"),
    (r"student\.transfer_share", "student.distill_fraction"),
    (r"student\.single_share", "student.single_image_fraction"),
    (r"student\.measure_samples", "student.feature_stats_samples"),
    (r"data\.layers", "data.photos"),
    (r"data\.lookalikes", "data.hard_negative_prob"),
    (r"data\.procedural", "data.texture_prob"),
    (r"data\.colour", "data.color_jitter"),
    (r"data\.pipeline", "data.loader"),
)

# Old value -> new value, by the new key.
_VALUES: dict[str, dict[Any, Any]] = {
    "width": {"test": "tiny"},
    "protocol": {"sirr": "errnet"},
    "pixel_loss": {"log_mse": "psnr"},
    "data.loader": {"memory": "threads"},
    "optimizer.schedule": {"halving": "step"},
    "distill.enabled": {True: False, False: True},
}


ADDED = MappingProxyType({"data.tfds_data_dir": ""})
"""Keys that were added later, with the value at which a run goes on as before."""


def new_key(key: str) -> str | None:
    """Finds the present name of a config key of the first edition.

    Args:
        key: dotted key without "config.", for example "optimiser.learning_rate".

    Returns:
        The present key; None for a key that was not renamed.
    """
    for pattern, replacement in _KEYS:
        if match := re.fullmatch(pattern, key):
            return match.expand(replacement)
    return None


def new_value(key: str, value: Any) -> Any:
    """Finds the present name of a value of the first edition.

    Args:
        key: present dotted key.
        value: value of the first edition.

    Returns:
        Present value; `value` itself if it was not renamed.
    """
    renamed = _VALUES.get(key, {})
    return renamed.get(value, value) if isinstance(value, str | bool) else value


def translate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Renames the keys and values of a flat config of the first edition. A present config is returned unchanged.

    Args:
        config: dotted key -> value.

    Returns:
        Dotted present key -> present value.
    """
    translated = {}
    for old, value in config.items():
        key = new_key(old) or old
        translated[key] = value if key == old and key == "distill.enabled" else new_value(key, value)
    if "optimiser.halve_every" in config:
        translated.setdefault("optimizer.gamma", 0.5)  # "halving" had no other factor
    return translated
