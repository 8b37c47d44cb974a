"""What is scored: the input itself, a model, or pictures that another program restored."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np

from sirr_jax.data.images.decode import read_image
from sirr_jax.data.images.reader import list_images
from sirr_jax.errors import UserError
from sirr_jax.evaluation.datasets import Pair, TestSet
from sirr_jax.weights.sha256 import sha256

INPUT = "input"
"""Name of the row of the untouched input."""


class Method(Protocol):
    """Something that gives a restored picture.

    Attributes:
        name: name in reports.
        sha256: hash of the model file or of the pictures; empty where there is neither.
    """

    name: str
    sha256: str

    def restore(self, test_set: TestSet, pair: Pair, image: np.ndarray) -> np.ndarray | None:
        """Returns the restored picture, float32 [H, W, 3] in [0, 1]; None where there is none.

        Args:
            test_set: set of the pair.
            pair: pair to restore.
            image: decoded mixture, float32 [H, W, 3] in [0, 1].
        """
        ...


class InputMethod:
    """The untouched input."""

    name, sha256 = INPUT, ""

    def restore(self, test_set: TestSet, pair: Pair, image: np.ndarray) -> np.ndarray:
        """Returns the mixture."""
        del test_set, pair
        return image


class ModelMethod:
    """A model file, or the bundled student."""

    def __init__(self, model: str) -> None:
        """Loads the model.

        Args:
            model: path of a model file, or "bundled".

        Raises:
            UserError: The file is missing or damaged, or its networks do not restore single images.
        """
        from sirr_jax.inference.restorer import PACKAGED, load

        path = PACKAGED if model == "bundled" else Path(model)
        if not path.is_file():
            raise UserError(f"no model at {model}; give a .safetensors file, 'bundled' or 'yang'")
        self._restorer = load(path)
        self.name = model if model == "bundled" else path.stem
        self.sha256 = sha256(path)

    def restore(self, test_set: TestSet, pair: Pair, image: np.ndarray) -> np.ndarray:
        """Applies the model."""
        del test_set, pair
        return self._restorer(image).restored


class YangMethod:
    """Yang et al. 2019, which needs no weights (baselines specification, section 1)."""

    name, sha256 = "yang", ""

    def restore(self, test_set: TestSet, pair: Pair, image: np.ndarray) -> np.ndarray:
        """Suppresses weak gradients."""
        del test_set, pair
        import jax.numpy as jnp

        from sirr_jax.models.convex_suppression import suppress

        return np.clip(np.asarray(suppress(jnp.asarray(image)[None])[0]), 0.0, 1.0)


class FolderMethod:
    """Pictures that another program restored, in a folder for each set or in one."""

    def __init__(self, folder: Path) -> None:
        """Lists the pictures.

        Args:
            folder: folder with `SET/NAME.*` or `NAME.*`, where NAME is that of the picture in its set, with "_" or
                folders for its slashes, or the last part of it.

        Raises:
            UserError: The folder is missing or has no picture.
        """
        if not folder.is_dir():
            raise UserError(f"--restored {folder}: no such folder; give the folder of the restored pictures")
        self.name = folder.name or folder.resolve().name
        self._files = {
            path.relative_to(folder).with_suffix("").as_posix(): path for path in list_images(folder, recursive=True)
        }
        if not self._files:
            raise UserError(f"--restored {folder}: there are no pictures; give the folder of the restored pictures")
        # Changed pictures must not keep the scores of the former ones.
        contents = "".join(f"{name} {sha256(path)}\n" for name, path in sorted(self._files.items()))
        self.sha256 = hashlib.sha256(contents.encode(errors="surrogateescape")).hexdigest()

    def restore(self, test_set: TestSet, pair: Pair, image: np.ndarray) -> np.ndarray | None:
        """Reads the picture.

        Raises:
            UserError: The picture is unreadable.
        """
        del image
        last = pair.name.split("/")[-1]
        unique = sum(other.name.split("/")[-1] == last for other in test_set.pairs) == 1
        names = (pair.name, pair.name.replace("/", "_"), *((last,) if unique else ()))
        root, _, part = test_set.name.partition("#")
        for folder in (test_set.name, f"{root}/{part}", root, part, ""):
            for name in names:
                path = self._files.get(f"{folder}/{name}".lstrip("/"))
                if path is not None:
                    return read_image(path).astype(np.float32) / np.float32(255)
        return None


def open_model(model: str) -> Method:
    """Opens a model by file or name.

    Args:
        model: path of a model file, "bundled" or "yang".

    Raises:
        UserError: The file is missing or damaged, or its networks do not restore single images.
    """
    return YangMethod() if model == "yang" else ModelMethod(model)
