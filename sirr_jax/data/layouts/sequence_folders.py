"""Multi-view sequences: `<sequence>/{blended,transmission[,reflection]}/<frame>`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import subfolders, unwrap
from sirr_jax.data.layouts.matching import has_folders, scan_folders
from sirr_jax.data.layouts.registry import register


def sequence_folders(root: Path) -> dict[str, Path]:
    """Returns name -> folder of the sequences in a folder; the inner folder of a wrapped sequence."""
    return {path.name: unwrap(path, _has_layers) or path for path in subfolders(root)}


def _has_layers(folder: Path) -> bool:
    return has_folders(folder, "blended", "transmission")


def _recognize(root: Path) -> bool:
    return any(map(_has_layers, sequence_folders(root).values()))


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []
    entries: list[Entry] = []
    for name, folder in sequence_folders(root).items():
        layers = {"mixture": "blended", "transmission": "transmission"}
        if has_folders(folder, "reflection"):
            layers["reflection"] = "reflection"
        frames = scan_folders(folder, layers, findings, prefix=f"{name}/")
        if len(frames) < 3:
            count = f"{len(frames)} complete frame{'s' * (len(frames) != 1)}"
            findings.append(Finding("incomplete", folder, f"{count}; a sequence needs three or more"))
        entries += [replace(frame, sequence=name) for frame in frames]
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

register(SEQUENCES, rank=210)
