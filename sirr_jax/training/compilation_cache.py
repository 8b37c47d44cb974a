"""JAX's compilation cache, in a folder that nobody else can write to."""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path

_log = logging.getLogger(__name__)

_FLAG = "--xla_gpu_enable_command_buffer"


def turn_on_cache() -> Path | None:
    """Turns the compilation cache on, in `sirr_jax/xla` of the user's cache folder; logs a warning where it cannot be.

    The cache holds executable code, so its folder must belong to the user and be writable to the user alone. A folder
    that the environment variable `JAX_COMPILATION_CACHE_DIR` names is the user's choice and not checked.

    Returns:
        Folder of the cache; None without a cache.
    """
    import jax

    if _captures_convolutions(os.environ.get("XLA_FLAGS", "")):
        # A convolution whose algorithm comes from a cache cannot be captured in a CUDA graph: cuDNN status 5003.
        jax.config.update("jax_enable_compilation_cache", False)
        _log.warning("no compilation cache: programs from a cache crash with %s=+CONVOLUTION of XLA_FLAGS", _FLAG)
        return None
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    try:
        folder = _private_folder()
    except (OSError, RuntimeError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        _log.warning("no compilation cache (%s); JAX_COMPILATION_CACHE_DIR=FOLDER sets another folder", reason)
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def _private_folder() -> Path:
    """Returns the folder of the cache; makes it if it is missing.

    Raises:
        OSError: It cannot be made.
        RuntimeError: There is no home, or others could write to the folder.
    """
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))  # a relative path is invalid by its specification
    above = chosen if chosen.is_absolute() else Path.home() / ".cache"
    above.mkdir(parents=True, exist_ok=True)
    for folder in (above / "sirr_jax", above / "sirr_jax" / "xla"):
        folder.mkdir(exist_ok=True, mode=0o700)
        status = folder.stat()
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            raise RuntimeError(f"{folder} belongs to another user")
        if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise RuntimeError(f"others may write to {folder}: remove it, or run chmod -R go-w on it if you trust them")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise RuntimeError(f"{folder} is not writable")
    return folder


def _captures_convolutions(flags: str) -> bool:
    """Whether XLA is to capture convolutions in CUDA graphs; the last of several flags counts."""
    values = re.findall(rf"(?:^|\s){_FLAG}=(\S*)", flags)
    return bool(values) and any(word.lstrip("+").upper() == "CONVOLUTION" for word in values[-1].split(","))
