"""SGRRN's networks as a config asks for them."""

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
"""Pixels a side that the generator takes."""

JUDGES = {"restored": ("discriminator_background", 0.5), "reflection": ("discriminator_reflection", 0.25)}
"""Layer -> its discriminator, and the weight of that one's loss (SGRRN specification, section 7)."""


def network_id(role: str) -> str:
    """The id of the network of a role: "sgrrn/discriminator" for both of them."""
    return f"sgrrn/{role.partition('_')[0]}"


def hyper_parameters(config: ConfigDict) -> dict[str, dict[str, Any]]:
    """Role -> arguments that differ from the published network's; discriminators only where they are wanted."""
    width = {} if config.width == "base" else {"width": config.width}
    published = {"backbone": "resnet101", "mode": "Basic+Channel+Pyramid+Guidance", "classes": 21}
    own = {"backbone": config.backbone, "mode": config.decoder_mode, "classes": label_classes(config)}
    own = {name: value for name, value in own.items() if value != published[name]}
    judges = {role: width for role, _ in JUDGES.values()} if config.adversarial else {}
    return {"generator": width | own} | judges


def check(config: ConfigDict) -> None:
    """Look at what `configs/sgrrn.py` leaves to the user and nothing else checks.

    Raises:
        UserError: if a name is unknown, or a number makes no sense.
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
