"""SGRRN's five folders: three layers and the labels of two of them (specification of `sgrrn`, section 9.1)."""

from __future__ import annotations

from pathlib import Path

from sirr_jax.data.images.label_spaces import VOC
from sirr_jax.data.layouts.base import Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import subfolder
from sirr_jax.data.layouts.matching import has_a_folder, has_folders, scan_folders
from sirr_jax.data.layouts.registry import register

_FOLDERS = {
    "mixture": "input",
    "transmission": "background",
    "reflection": "reflection",
    "labels": "bg-semantic",
    "reflection_labels": "rf-semantic",
}
_SPLITS = ("train", "val", "test")


def _is_split(folder: Path) -> bool:
    # One of these three folders may be missing: that is a mistake to report, not another layout.
    return has_folders(folder, "input", "background") and has_a_folder(
        folder, "reflection", "bg-semantic", "rf-semantic"
    )


def _splits(root: Path) -> dict[str, Path]:
    if _is_split(root):
        return {"": root}
    folders = {split: subfolder(root, split) for split in _SPLITS}
    return {split: folder for split, folder in folders.items() if _is_split(folder)}


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []
    parts = []
    for split, folder in _splits(root).items():
        parts.append(Part(split, scan_folders(folder, _FOLDERS, findings, prefix=f"{split}/" if split else "")))
    return Scan(tuple(parts), tuple(findings))


SGRRN = Layout(
    "sgrrn",
    "a set in SGRRN's five folders",
    "{train,val,test}/{input,background,reflection,bg-semantic,rf-semantic}/<name>",
    "",
    lambda root: bool(_splits(root)),
    _scan,
    label_space=lambda _: VOC,
    plain_labels=True,
)

register(SGRRN, rank=107)
