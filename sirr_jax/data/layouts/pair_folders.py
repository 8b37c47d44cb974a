"""Folders of layers, `{blended,transmission_layer[,reflection_layer]}`, of known and of custom data sets."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import is_named, names_of, subfolders, unwrap
from sirr_jax.data.layouts.matching import has_folders, scan_folders
from sirr_jax.data.layouts.registry import register
from sirr_jax.data.layouts.sir2_parts import EXPECTED as SIR2_EXPECTED
from sirr_jax.data.layouts.sir2_parts import is_common_word, part_named

_LAYOUT = "{blended,transmission_layer[,reflection_layer]}/<name>"
_ZHANG = "github.com/ceciliavision/perceptual-reflection-removal"

# Benchmark specification, section 3.1.
_REAL20_IDS = tuple(map(str, (3, 4, 9, 12, 15, 22, 23, 25, 29, 39, 46, 47, 58, 86, 87, 89, 93, 103, 107, 110)))


def _has_layers(root: Path) -> bool:
    return has_folders(root, "blended", "transmission_layer")


def _scan_layers(root: Path, findings: list[Finding], *, prefix: str = "") -> tuple[Entry, ...]:
    folders = {"mixture": "blended", "transmission": "transmission_layer"}
    if has_folders(root, "reflection_layer"):
        folders["reflection"] = "reflection_layer"
    return scan_folders(root, folders, findings, prefix=prefix)


def _named_set(
    name: str, title: str, published: str, *, folder_names: Collection[str], expected: tuple[int, ...]
) -> Layout:
    def recognize(root: Path) -> bool:
        return _has_layers(root) and is_named(root, folder_names)

    def scan(root: Path) -> Scan:
        findings: list[Finding] = []
        return Scan((Part("", _scan_layers(root, findings), expected),), tuple(findings))

    return Layout(name, title, _LAYOUT, published, recognize, scan, trains_as="pairs")


def _scan_real20(root: Path) -> Scan:
    findings: list[Finding] = []
    entries = _scan_layers(root, findings)
    names = {entry.name for entry in entries}
    missing = [name for name in _REAL20_IDS if name not in names]
    # If most names match the release, the others are missing; otherwise the files were renamed.
    if missing and len(missing) < len(_REAL20_IDS) // 2:
        findings.append(Finding("incomplete", root, f"the pictures {', '.join(missing)} of Real20 are missing"))
    return Scan((Part("", entries, (len(_REAL20_IDS),)),), tuple(findings))


def _sir2_folders(root: Path) -> list[tuple[str, Path]]:
    """Returns part and folder of the parts in `root`, or of `root` itself."""
    if _has_layers(root):
        parts = [part_named(name) for name in names_of(root) if not is_common_word(name)]
        return [(part, root) for part in parts if part is not None][:1]
    found = [
        (part, home)
        for path in subfolders(root)
        if (part := part_named(path.name)) and (home := unwrap(path, _has_layers)) is not None
    ]
    if len(found) == 1 and is_common_word(found[0][1].name):
        return []
    return sorted(found, key=lambda item: list(SIR2_EXPECTED).index(item[0]))


def _scan_sir2(root: Path) -> Scan:
    findings: list[Finding] = []
    parts: dict[str, Part] = {}
    first: dict[str, Path] = {}
    for part, folder in _sir2_folders(root):
        if part in parts:
            findings.append(Finding("doubled", folder, f"is the same part as {first[part]}; keep one"))
        else:
            entries = _scan_layers(folder, findings, prefix=f"{part}/")
            parts[part], first[part] = Part(part, entries, SIR2_EXPECTED[part]), folder
    return Scan(tuple(parts.values()), tuple(findings))


def _recognize_ibcln(root: Path) -> bool:
    return has_folders(root, "natural_I", "natural_T") or has_folders(root, "testB", "testA1")


def _scan_ibcln(root: Path) -> Scan:
    findings: list[Finding] = []
    parts = tuple(
        Part(
            part,
            scan_folders(root, {"mixture": mixture, "transmission": clean}, findings, prefix=f"{part}/"),
            (expected,),
        )
        for part, mixture, clean, expected in (
            ("train", "natural_I", "natural_T", 200),
            ("test", "testB", "testA1", 20),
        )
        if has_folders(root, mixture, clean)
    )
    return Scan(parts, tuple(findings))


def _scan_plain(root: Path) -> Scan:
    findings: list[Finding] = []
    return Scan((Part("", _scan_layers(root, findings)),), tuple(findings))


REAL20 = Layout(
    "real20",
    "Real20, the test pairs of Zhang et al.",
    _LAYOUT,
    _ZHANG,
    lambda root: _has_layers(root) and is_named(root, ("real20",)),
    _scan_real20,
    trains_as="pairs",
)
REAL89 = _named_set(
    "real89", "the real training pairs of Zhang et al.", _ZHANG, folder_names=("real89", "realtrain"), expected=(89,)
)
NATURE = _named_set(
    "nature",
    "Nature, the real pairs of IBCLN",
    "github.com/JHL-HUST/IBCLN",
    folder_names=("nature", "naturetest", "naturetrain"),
    expected=(20, 200),
)
IBCLN = Layout(
    "ibcln",
    "Nature as IBCLN publishes it",
    "{natural_I,natural_T}/<name> and {testB,testA1}/<name>",
    NATURE.published,
    _recognize_ibcln,
    _scan_ibcln,
)
TABLE2 = _named_set(
    "ceil_table2",
    "CEILNet's synthetic test set in folders",
    "github.com/fqnchina/CEILNet",
    folder_names=("ceiltable", "ceilnettable"),
    expected=(100,),
)
SIR2 = Layout(
    "sir2",
    "SIR2 in folders of layers",
    f"{{SolidObjectDataset,PostcardDataset,WildSceneDataset}}/{_LAYOUT}, or one of these folders",
    "sir2data.github.io (on registration)",
    lambda root: bool(_sir2_folders(root)),
    _scan_sir2,
)
PAIRS = Layout("pairs", "real pairs", _LAYOUT, "", _has_layers, _scan_plain, trains_as="pairs")

register(REAL20, rank=101)
register(REAL89, rank=102)
register(NATURE, rank=103)
register(IBCLN, rank=104)
register(TABLE2, rank=105)
register(SIR2, rank=106)
register(PAIRS, rank=200)
