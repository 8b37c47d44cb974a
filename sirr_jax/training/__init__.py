"""Training loop and training step for every recipe. Nothing here is specific to a published system."""
