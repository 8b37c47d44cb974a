"""What the configs of all recipes have in common; a config file says what is its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ml_collections import ConfigDict


def training_config(recipe: str) -> ConfigDict:
    """Make a config with the values that every recipe needs; `configs/` adds the rest."""
    config = ConfigDict()
    config.recipe = recipe
    config.seed = 0
    config.width = "base"
    config.precision = "float32"  # or bfloat16: computation only, parameters stay float32
    config.batch_size = 8  # samples per step, of all devices together
    config.accumulate = 1  # micro-batches per step
    config.steps_per_call = 1  # with more, accelerators are told once what they do for so many steps
    config.perceptual_weights = ""  # VGG file; "" for a stand-in, which the log names

    config.data = ConfigDict()
    config.data.layers = "embedded"  # photographs: a folder, a .zip file, a packed set, or "embedded"
    config.data.pairs = ""  # real pairs: any set that `sirr data check` knows, in folders or packed
    config.data.pairs_share = 0.0
    config.data.validation = ""  # of the kind that is trained on; "" for the held-out embedded photograph
    config.data.crop = 256
    config.data.min_scale = 1.0  # below 1, crops of photographs are enlarged by up to its inverse: close-ups
    config.data.max_scale = 2.0  # pictures are reduced by up to this factor before they are cropped
    config.data.pipeline = (
        "tf"  # or memory: decoded pictures held there, no TensorFlow; or device: held by accelerators
    )
    config.data.on_corrupt = "error"  # or skip: leave out by name, and count, what cannot be used

    config.optimiser = ConfigDict()
    config.optimiser.kind = "adam"  # or rmsprop, sgd
    config.optimiser.schedule = "cosine"  # or constant, halving
    config.optimiser.learning_rate = 2e-4
    config.optimiser.final_learning_rate = 1e-6
    config.optimiser.b1 = 0.9
    config.optimiser.b2 = 0.999
    config.optimiser.clip = 1.0  # largest norm of a network's gradient; 0 for none
    config.optimiser.networks = ConfigDict()  # values for one network alone
    config.ema_decay = 0.999

    config.protocol = "sirr"  # or rgb, y, srnet
    config.validation_samples = 16
    config.log_every = 100
    config.evaluate_every = 2_000
    config.panels_every = 10_000
    config.checkpoint_every = 2_000
    config.keep = 3
    return config


def varied(config: ConfigDict, variant: str, variants: Mapping[str, Callable[[ConfigDict], None]]) -> ConfigDict:
    """Apply what a variant changes.

    Raises:
        ValueError: if there is no such variant.
    """
    if variant not in variants:
        raise ValueError(f"no variant {variant!r}; choose one of {', '.join(variants)}")
    variants[variant](config)
    return config
