"""Cityscapes in fog and in rain: several degraded pictures of each clean photo.

Sakaridis, Dai, Van Gool, "Semantic Foggy Scene Understanding with Synthetic Data", IJCV 2018; Hu, Fu, Zhu, Heng,
"Depth-Attentional Features for Single-Image Rain Removal", CVPR 2019; specification of `srnet`, sections 5.5 and 5.6.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sirr_jax.data.images.reader import natural_order
from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import subfolder, subfolders
from sirr_jax.data.layouts.label_sets import CITYSCAPES, city_labels, city_photos
from sirr_jax.data.layouts.matching import has_folders, index_files
from sirr_jax.data.layouts.registry import register

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"


@dataclass(frozen=True)
class _Weather:
    """One of the two data sets.

    Attributes:
        folder: folder of the degraded pictures, next to `leftImg8bit`.
        stem: pattern of a file name, with the groups `photo` and `variant`.
        expected: split -> numbers of pictures in the published releases.
        needs_clear: whether the clear photos are required.
    """

    folder: str
    stem: re.Pattern[str]
    expected: Mapping[str, tuple[int, ...]]
    needs_clear: bool

    def recognize(self, root: Path) -> bool:
        return has_folders(root, self.folder)

    def scan(self, root: Path) -> Scan:
        findings: list[Finding] = []
        splits = [split for split in self.expected if has_folders(root, f"{self.folder}/{split}")]
        return Scan(tuple(self._split(root, split, findings) for split in splits), tuple(findings))

    def _split(self, root: Path, split: str, findings: list[Finding]) -> Part:
        layers = {"transmission": f"leftImg8bit/{split}", "labels": f"gtFine/{split}"}
        # Layers without a folder are optional.
        layers = {layer: path for layer, path in layers.items() if has_folders(root, path)}
        if self.needs_clear and "transmission" not in layers:
            findings.append(Finding("incomplete", root, f"no folder leftImg8bit/{split}"))
        variants: dict[str, dict[str, Path]] = defaultdict(dict)
        entries: list[Entry] = []
        for folder in subfolders(subfolder(root, f"{self.folder}/{split}")):
            photos = self._by_photo(folder, findings)
            variants |= photos
            folders = {layer: f"{path}/{folder.name}" for layer, path in layers.items()}
            entries += _entries(root, split, photos, folders, findings)
        findings += _missing_variants(variants)
        return Part(split, tuple(entries), self.expected[split])

    def _by_photo(self, folder: Path, findings: list[Finding]) -> dict[str, dict[str, Path]]:
        """Returns photo -> variant -> file, in order of names and numbers."""

        def name_of(path: Path) -> str | None:
            match = self.stem.fullmatch(path.stem)
            # Neither group contains a slash.
            return f"{match['photo']}/{match['variant']}" if match else None

        photos: dict[str, dict[str, Path]] = defaultdict(dict)
        for name, path in sorted(index_files(folder, findings, name_of=name_of).items(), key=_by_name):
            photo, _, variant = name.partition("/")
            photos[photo][variant] = path
        return photos


def _by_name(item: tuple[str, Path]) -> tuple[tuple[list[str | int], str], list[float]]:
    photo, _, variant = item[0].partition("/")
    # Natural order compares integers and would put 0.005 after 0.01.
    return natural_order(photo), [float(number) for number in re.findall(_NUMBER, variant)]


def _entries(
    root: Path,
    split: str,
    photos: Mapping[str, Mapping[str, Path]],
    folders: Mapping[str, str],
    findings: list[Finding],
) -> Iterator[Entry]:
    """Yields the pictures of one city; all variants of a photo share its file in each layer of `folders`."""
    layers = {
        layer: city_photos(folder, findings) if layer == "transmission" else city_labels(folder)
        for layer, folder in ((layer, subfolder(root, path)) for layer, path in folders.items())
    }
    for photo, variants in photos.items():
        missing = [folders[layer] for layer, files in layers.items() if photo not in files]
        if missing:
            text = f"no file for {photo} in {' and '.join(missing)}"
            findings.append(Finding("unpaired", next(iter(variants.values())), text))
            continue
        shared = {layer: files[photo] for layer, files in layers.items()}
        for variant, path in variants.items():
            yield Entry(f"{split}/{photo}_{variant}", {"mixture": path, **shared})


def _missing_variants(photos: Mapping[str, Mapping[str, Path]]) -> list[Finding]:
    """Finds photos without a variant that most other photos have."""
    counts = Counter(variant for variants in photos.values() for variant in variants)
    common = [variant for variant, count in counts.items() if 2 * count > len(photos)]
    findings = []
    for photo, variants in photos.items():
        missing = [variant for variant in common if variant not in variants]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            text = f"{photo} has no picture {missing[0]}{more}, unlike the other photos"
            findings.append(Finding("incomplete", next(iter(variants.values())), text))
    return findings


# Photos without a degraded version, and the other images of the labels.
_UNREAD = ("*leftimg8bit/*", "*gtfine/*")
# The refined releases of Foggy Cityscapes have 498 and 52 photos; each photo comes in three densities.
_FOG = _Weather(
    "leftImg8bit_foggy",
    re.compile(rf"(?P<photo>.+)_leftImg8bit_foggy_(?P<variant>beta_{_NUMBER})", re.IGNORECASE),
    {"train": (3 * 2975, 3 * 498), "val": (3 * 500, 3 * 52), "test": (3 * 1525,)},
    needs_clear=False,
)
# The split "test" of the authors contains photos of the Cityscapes split "val".
_RAIN = _Weather(
    "leftImg8bit_rain",
    re.compile(
        r"(?P<photo>.+?)(?:_leftImg8bit)?_rain_"
        rf"(?P<variant>alpha_{_NUMBER}_beta_{_NUMBER}_dropsize_{_NUMBER}_pattern_[0-9]+)",
        re.IGNORECASE,
    ),
    {"train": (262 * 36,), "val": (33 * 36,), "test": (33 * 36,)},
    needs_clear=True,
)

FOGGY_CITYSCAPES = Layout(
    "foggy_cityscapes",
    "Foggy Cityscapes",
    "leftImg8bit_foggy/<split>/<city>/<name>_leftImg8bit_foggy_beta_<b>.* [and leftImg8bit, gtFine as in Cityscapes]",
    "cityscapes-dataset.com (on registration)",
    _FOG.recognize,
    _FOG.scan,
    unread=_UNREAD,
    label_space=CITYSCAPES.label_space,
)
RAIN_CITYSCAPES = Layout(
    "rain_cityscapes",
    "RainCityscapes",
    "leftImg8bit_rain/<split>/<city>/<name>_rain_alpha_<a>_beta_<b>_dropsize_<d>_pattern_<p>.* and "
    "leftImg8bit/<split>/<city>/<name>_leftImg8bit.* [and gtFine as in Cityscapes]",
    "cityscapes-dataset.com (on registration)",
    _RAIN.recognize,
    _RAIN.scan,
    unread=_UNREAD,
    label_space=CITYSCAPES.label_space,
)

register(FOGGY_CITYSCAPES, rank=111)
register(RAIN_CITYSCAPES, rank=112)
