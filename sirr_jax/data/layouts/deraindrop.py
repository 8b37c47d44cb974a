"""DeRaindrop: `train/{data,gt}`, `test_a`, `test_b`, or `{rain,clean}`, `{rain_image,clean_image}`; paired by number.

Qian, Tan, Yang, Su, Liu, "Attentive Generative Adversarial Network for Raindrop Removal from a Single Image", CVPR
2018; specification of `attentive_gan`, section 5.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sirr_jax.data.layouts.base import Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import names_of, plain_name, subfolder
from sirr_jax.data.layouts.matching import has_a_folder, has_folders, number_first, scan_folders
from sirr_jax.data.layouts.registry import register

# test_b: 249 in the archive, 239 according to the README. The earlier release: 700 for training, 94 for evaluation.
_EXPECTED = {"train": (861,), "test_a": (58,), "test_b": (249, 239)}
_EXPECTED_EARLIER = (700, 794, 94)
_FOLDERS = (("data", "gt"), ("rain", "clean"), ("rain_image", "clean_image"))


def _parts(root: Path) -> Iterator[tuple[str, Path, str, str]]:
    """Yields part, its folder, and the names of the folders with rainy and clean pictures."""
    for rainy, clean in _FOLDERS:
        if has_folders(root, rainy, clean):
            yield "", root, rainy, clean
        for part in _EXPECTED:
            folder = subfolder(root, part)
            if has_a_folder(folder, rainy, clean):
                yield part, folder, rainy, clean


def _expected(root: Path, part: str, rainy: str) -> tuple[int, ...]:
    if rainy == "rain":
        return _EXPECTED_EARLIER
    own = [known for name in names_of(root) for known in _EXPECTED if plain_name(name) == plain_name(known)]
    return _EXPECTED.get(part or next(iter(own), ""), ())


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []
    parts = tuple(
        Part(
            part,
            scan_folders(
                folder,
                {"mixture": rainy, "transmission": clean},
                findings,
                prefix=f"{part}/" if part else "",
                name_of=number_first,
            ),
            _expected(root, part, rainy),
        )
        for part, folder, rainy, clean in _parts(root)
    )
    return Scan(parts, tuple(findings))


DERAINDROP = Layout(
    "deraindrop",
    "DeRaindrop",
    "{train,test_a,test_b}/data/<i>_rain.* and gt/<i>_clean.*, rain[_image]/<i>_rain.* and clean[_image]/<i>_clean.*",
    "github.com/rui1996/DeRaindrop",
    lambda root: any(has_folders(folder, rainy, clean) for _, folder, rainy, clean in _parts(root)),
    _scan,
)

register(DERAINDROP, rank=108)
