"""Config keys that all recipes share; a file in configs/ adds those of its recipe.

The comment after a key is its description in the reference (`scripts/generate_docs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ml_collections import ConfigDict


def training_config(recipe: str) -> ConfigDict:
    """Makes a config with the keys that every recipe needs.

    Args:
        recipe: name of the recipe.
    """
    config = ConfigDict()
    config.recipe = recipe  # name of the recipe
    config.seed = 0  # base random seed
    config.width = "base"  # width of the networks: tiny, small, compact, medium or base (not all have all)
    config.compute_dtype = "float32"  # dtype of activations: float32 or bfloat16; parameters stay float32
    config.batch_size = 8  # samples per step, over all devices
    config.grad_accum_steps = 1  # micro-batches per step
    config.scan_steps = 1  # steps per jitted `lax.scan`; more than 1 removes dispatch overhead on a GPU
    config.perceptual_weights = ""  # VGG weight file of the perceptual loss; empty for a 3-scale gradient loss

    config.data = ConfigDict()
    config.data.photos = "embedded"  # photographs: folder, .zip file, TFDS set (its folder or tfds:NAME) or "embedded"
    config.data.pairs = ""  # real pairs: any set that `sirr data check` knows, or tfds:NAME; #PART selects a part
    config.data.pairs_share = 0.0  # fraction of real pairs among single images
    config.data.validation = ""  # data set to validate on; empty for the held-out embedded photograph
    config.data.tfds_data_dir = ""  # folder of prepared TFDS sets, for tfds:NAME; empty for $TFDS_DATA_DIR
    config.data.crop = 256  # side of the crops in pixels
    config.data.min_scale = 1.0  # smallest reduction of a photograph; below 1 crops are enlarged (close-ups)
    config.data.max_scale = 2.0  # largest reduction of a photograph before it is cropped
    config.data.loader = "tf"  # tf (tf.data), threads (no TensorFlow, decoded images cached) or device (cached on GPU)
    config.data.on_corrupt = "error"  # handling of unusable files: error, or skip (left out, listed and counted)

    config.optimizer = ConfigDict()
    config.optimizer.name = "adam"  # name of an optimizer of optax
    config.optimizer.schedule = "cosine"  # learning rate schedule: cosine, constant or step (step_size, gamma)
    config.optimizer.learning_rate = 2e-4  # initial learning rate
    config.optimizer.final_learning_rate = 1e-6  # learning rate at the end of the cosine
    config.optimizer.b1 = 0.9  # decay rate of the first moment
    config.optimizer.b2 = 0.999  # decay rate of the second moment
    config.optimizer.clip = 1.0  # largest global norm of a network's gradient; 0 for no clipping
    config.optimizer.networks = ConfigDict()  # the same keys for single networks, by their names
    config.ema_decay = 0.999  # decay of the moving average of the parameters, which is evaluated and exported

    config.protocol = "errnet"  # metric protocol of the evaluation: errnet, rgb or y
    config.validation_samples = 16  # samples to evaluate on
    config.log_every = 100  # steps between two log lines
    config.eval_every = 2_000  # steps between two evaluations; 0 for none
    config.log_images_every = 10_000  # steps between two validation panels; 0 for none
    config.checkpoint_every = 2_000  # steps between two checkpoints; 0 for checkpoints at stage ends only
    config.max_to_keep = 3  # number of checkpoints to keep
    return config


def varied(config: ConfigDict, variant: str, variants: Mapping[str, Callable[[ConfigDict], None]]) -> ConfigDict:
    """Applies the changes of a variant.

    Args:
        config: config to change.
        variant: name of the variant.
        variants: name -> function that changes a config in place.

    Returns:
        `config`.

    Raises:
        ValueError: There is no such variant.
    """
    if variant not in variants:
        raise ValueError(f"no variant {variant!r}; choose one of {', '.join(variants)}")
    variants[variant](config)
    return config
