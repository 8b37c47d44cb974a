"""Cityscapes in fog and in rain: many weathered pictures of one photograph, which holds the clean pixels.

Sakaridis, Dai, Van Gool, "Semantic Foggy Scene Understanding with Synthetic Data", IJCV 2018; Hu, Fu, Zhu, Heng,
"Depth-Attentional Features for Single-Image Rain Removal", CVPR 2019; specification of `srnet`, sections 5.5 and 5.6.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sirr_jax.data.images.reader import list_folder, natural_order
from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.label_sets import CITYSCAPES, city_labels, city_photos
from sirr_jax.data.layouts.matching import index_files

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"


@dataclass(frozen=True)
class _Weather:
    """One of the two sets.

    Attributes:
      folder: Beside `leftImg8bit`.
      stem: Tells the photograph and the variant by a file's name.
      expected: Split to how many pictures the published releases have.
      needs_clear: Whether the clear photographs must be there.
    """

    folder: str
    stem: re.Pattern[str]
    expected: Mapping[str, tuple[int, ...]]
    needs_clear: bool

    def recognize(self, root: Path) -> bool:
        return (root / self.folder).is_dir()

    def scan(self, root: Path) -> Scan:
        findings: list[Finding] = []
        splits = [split for split in self.expected if (root / self.folder / split).is_dir()]
        return Scan(tuple(self._split(root, split, findings) for split in splits), tuple(findings))

    def _split(self, root: Path, split: str, findings: list[Finding]) -> Part:
        layers = {"transmission": f"leftImg8bit/{split}", "labels": f"gtFine/{split}"}
        # Of a layer that is not there at all, nothing is missed.
        layers = {layer: place for layer, place in layers.items() if (root / place).is_dir()}
        if self.needs_clear and "transmission" not in layers:
            findings.append(Finding("incomplete", root, f"no folder leftImg8bit/{split}"))
        variants: dict[str, dict[str, Path]] = defaultdict(dict)
        entries = []
        for folder in list_folder(root / self.folder / split):
            if folder.is_dir():
                of_city = self._by_photo(folder, findings)
                variants |= of_city
                places = {layer: f"{place}/{folder.name}" for layer, place in layers.items()}
                entries += _entries(root, split, of_city, places, findings)
        findings += _lacking_variants(variants)
        return Part(split, tuple(entries), self.expected[split])

    def _by_photo(self, folder: Path, findings: list[Finding]) -> dict[str, dict[str, Path]]:
        """Photograph to its variants, in order of their names and numbers."""

        def name_of(path: Path) -> str | None:
            found = self.stem.fullmatch(path.stem)
            # Neither contains a slash.
            return f"{found['photo']}/{found['variant']}" if found else None

        photos: dict[str, dict[str, Path]] = defaultdict(dict)
        for name, path in sorted(index_files(folder, findings, name_of=name_of).items(), key=_by_name):
            photo, _, variant = name.partition("/")
            photos[photo][variant] = path
        return photos


def _by_name(item: tuple[str, Path]) -> tuple[tuple[list[str | int], str], list[float]]:
    photo, _, variant = item[0].partition("/")
    # In natural order 0.005 would come after 0.01: as after 1 comes 5.
    return natural_order(photo), [float(number) for number in re.findall(_NUMBER, variant)]


def _entries(
    root: Path,
    split: str,
    photos: Mapping[str, Mapping[str, Path]],
    places: Mapping[str, str],
    findings: list[Finding],
) -> Iterator[Entry]:
    """The pictures of one city; each file of the layers in `places` stands for all the weathers of its photograph."""
    layers = {
        layer: city_photos(root / place, findings) if layer == "transmission" else city_labels(root / place)
        for layer, place in places.items()
    }
    for photo, variants in photos.items():
        missing = [places[layer] for layer, files in layers.items() if photo not in files]
        if missing:
            text = f"no file of {photo} in {' and '.join(missing)}"
            findings.append(Finding("unpaired", next(iter(variants.values())), text))
            continue
        shared = {layer: files[photo] for layer, files in layers.items()}
        for variant, path in variants.items():
            yield Entry(f"{split}/{photo}_{variant}", {"mixture": path, **shared})


def _lacking_variants(photos: Mapping[str, Mapping[str, Path]]) -> list[Finding]:
    """Photographs without a variant that most of the others have."""
    counts = Counter(variant for variants in photos.values() for variant in variants)
    usual = [variant for variant, count in counts.items() if 2 * count > len(photos)]
    findings = []
    for photo, variants in photos.items():
        missing = [variant for variant in usual if variant not in variants]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            text = f"of {photo} there is no picture {missing[0]}{more}, as of the other photographs"
            findings.append(Finding("incomplete", next(iter(variants.values())), text))
    return findings


# Of fog, the refined releases are 498 and 52 photographs of Cityscapes; each photograph comes in three densities.
_FOG = _Weather(
    "leftImg8bit_foggy",
    re.compile(rf"(?P<photo>.+)_leftImg8bit_foggy_(?P<variant>beta_{_NUMBER})"),
    {"train": (3 * 2975, 3 * 498), "val": (3 * 500, 3 * 52), "test": (3 * 1525,)},
    needs_clear=False,
)
# The authors call the pictures to test on "test"; they are of Cityscapes' split "val".
_RAIN = _Weather(
    "leftImg8bit_rain",
    re.compile(
        r"(?P<photo>.+?)(?:_leftImg8bit)?_rain_"
        rf"(?P<variant>alpha_{_NUMBER}_beta_{_NUMBER}_dropsize_{_NUMBER}_pattern_[0-9]+)"
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
    label_space=CITYSCAPES.label_space,
)
