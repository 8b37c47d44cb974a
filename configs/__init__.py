"""Training configs, one file a recipe: `get_config(variant)`. Installed as `sirr_jax.configs`."""
