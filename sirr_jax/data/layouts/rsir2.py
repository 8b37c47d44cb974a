"""RSIR2: `images/{train,test}/{A,B}`, A clean, B with the reflection (specification of `edge_gan`, sections 1, 7)."""

from __future__ import annotations

from pathlib import Path

from sirr_jax.data.layouts.base import Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import subfolder
from sirr_jax.data.layouts.matching import has_a_folder, has_folders, scan_folders
from sirr_jax.data.layouts.registry import register

_SPLITS = ("train", "test")


def _splits(root: Path) -> dict[str, Path]:
    """Returns split -> folder; the name is empty if the folder is itself a split."""
    if has_folders(root, "A", "B"):
        return {"": root}
    images = subfolder(root, "images") if has_folders(root, "images") else root
    folders = {split: subfolder(images, split) for split in _SPLITS}
    return {split: folder for split, folder in folders.items() if has_a_folder(folder, "A", "B")}


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []
    layers = {"mixture": "B", "transmission": "A"}
    parts = tuple(
        Part(split, scan_folders(folder, layers, findings, prefix=f"{split}/" if split else ""))
        for split, folder in _splits(root).items()
    )
    return Scan(parts, tuple(findings))


RSIR2 = Layout(
    "rsir2",
    "RSIR2, or a set in its layout",
    "[images/]{train,test}/{A,B}/<name>, A clean and B with the reflection",
    "github.com/Siboooo/ReflectionRemoval",
    lambda root: any(has_folders(folder, "A", "B") for folder in _splits(root).values()),
    _scan,
)

register(RSIR2, rank=109)
