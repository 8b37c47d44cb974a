"""Multi-view sequences: `<sequence>/{blended,transmission[,reflection]}/<frame>`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sirr_jax.data.images.reader import list_folder
from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.matching import has_folders, scan_folders


def _folders(root: Path) -> list[Path]:
    return [path for path in list_folder(root) if path.is_dir()]


def _recognize(root: Path) -> bool:
    return any(has_folders(folder, "blended", "transmission") for folder in _folders(root))


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []
    entries: list[Entry] = []
    for folder in _folders(root):
        layers = {"mixture": "blended", "transmission": "transmission"}
        if (folder / "reflection").is_dir():
            layers["reflection"] = "reflection"
        frames = scan_folders(folder, layers, findings, prefix=f"{folder.name}/")
        if len(frames) < 3:
            count = f"{len(frames)} complete frame{'s' * (len(frames) != 1)}"
            findings.append(Finding("incomplete", folder, f"{count}; a sequence needs three or more"))
        entries += [replace(frame, sequence=folder.name) for frame in frames]
    return Scan((Part("", tuple(entries)),), tuple(findings))


SEQUENCES = Layout(
    "sequences",
    "multi-view sequences",
    "<sequence>/{blended,transmission[,reflection]}/<frame>, three or more frames each",
    "",
    _recognize,
    _scan,
    trains_as="sequences",
)
