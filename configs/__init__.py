"""Training configs, one file per recipe: `get_config(variant)`. Installed as `sirr_jax.configs`."""
