"""The one thing that pyproject.toml cannot say: configs/ is installed as `sirr_jax.configs`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["sirr_jax*"]), "sirr_jax.configs"],
    package_dir={"sirr_jax.configs": "configs"},
)
