"""Model arguments of SGRRN's networks, and checks of the config."""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.losses.sgrrn import PROFILES
from sirr_jax.recipes.common.config_checks import (
    DTYPES,
    check_choice,
    check_crop,
    check_share,
    check_steps,
    label_classes,
)

SMALLEST = 32
"""The smallest side, in pixels, that the generator takes."""

DISCRIMINATORS = {"restored": ("discriminator_background", 0.5), "reflection": ("discriminator_reflection", 0.25)}
"""Layer -> role of its discriminator, and the weight of that loss (SGRRN specification, section 7)."""


def network_id(role: str) -> str:
    """Returns the network id of a role: "sgrrn/discriminator" for both discriminators.

    Args:
        role: "generator" or a role of `DISCRIMINATORS`.
    """
    return f"sgrrn/{role.partition('_')[0]}"


def model_args(config: ConfigDict) -> dict[str, dict[str, Any]]:
    """Returns the arguments that differ from the published networks', by role.

    Args:
        config: config of `configs/sgrrn.py`.

    Returns:
        The generator's, and those of the discriminators where `config.adversarial` is True.
    """
    width = {} if config.width == "base" else {"width": config.width}
    published = {"backbone": "resnet101", "mode": "Basic+Channel+Pyramid+Guidance", "classes": 21}
    values = {"backbone": config.backbone, "mode": config.decoder_mode, "classes": label_classes(config)}
    changed = {name: value for name, value in values.items() if value != published[name]}
    discriminators = {role: width for role, _ in DISCRIMINATORS.values()} if config.adversarial else {}
    return {"generator": width | changed} | discriminators


def check_config(config: ConfigDict) -> None:
    """Checks the values that no other function checks.

    Args:
        config: config of `configs/sgrrn.py`.

    Raises:
        UserError: A name is unknown, or a number is out of range.
    """
    for name, known in (("profile", PROFILES), ("compute_dtype", DTYPES)):
        check_choice(config, name, known)
    if config.decoder_mode == "OnlySemantic":
        raise UserError(
            "config.decoder_mode is 'OnlySemantic', which restores nothing; set config.steps.joint=0 instead"
        )
    check_crop(config, multiple=1, least=SMALLEST)
    label_classes(config)
    for name in ("data.pairs_share", "clean_share"):
        check_share(config, name)
    check_steps(config)
    if not 0.0 < config.momentum <= 1.0:
        raise UserError(f"config.momentum={config.momentum}; choose the weight of a new batch, above 0 and up to 1")
