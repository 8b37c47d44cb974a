"""The parts of SIR2 (objects, postcards, wild scenes) by the names of their folders, and their numbers of pictures."""

from __future__ import annotations

import re

# The letters of a name, with and without the words that releases add.
_NAMES = {
    "object": r"(solid)?objects?",
    "postcard": r"postcards?",
    "wild": r"wild(scenes?)?",
}
_WHOLE = r"(sir)?(?:{name})(scenes?)?(data)?(sets?)?(withgt)?"

EXPECTED: dict[str, tuple[int, ...]] = {
    # Releases differ in which of the first two parts lacks one picture.
    "object": (200, 199),
    "postcard": (199, 200, 179),
    "wild": (55, 101, 52),
}
"""Part -> numbers of pictures in the published releases."""


def part_named(name: str) -> str | None:
    """Returns the part that a folder is named after: `Postcard Dataset`, `SolidObjectDataset`, `sir2_wild`.

    Args:
        name: name of a folder, in any spelling; digits do not count.

    Returns:
        "object", "postcard" or "wild"; None for any other name.
    """
    letters = _letters(name)
    return next((part for part, words in _NAMES.items() if re.fullmatch(_WHOLE.format(name=words), letters)), None)


def part_mentioned(name: str) -> str | None:
    """Returns the only part that a name contains: `My Postcards (copy)`; None if it contains none or several."""
    letters = _letters(name)
    found = [part for part, words in _NAMES.items() if re.search(words, letters)]
    return found[0] if len(found) == 1 else None


def is_common_word(name: str) -> bool:
    """Returns whether a name of a part is a word that folders of any set may have: `objects`, `wild`."""
    return re.fullmatch("objects?|wild", _letters(name)) is not None


def is_ground_truth_folder(name: str) -> bool:
    """Returns whether a folder is that of the wild scenes in the first release, `withgt`, or has it in its name."""
    return "withgt" in _letters(name)


def is_variation(name: str) -> bool:
    """Returns whether a folder is that of varied focus or of varied glass: `Focus`, `Thick`, `Thickness`."""
    return re.fullmatch(r"(focus|thick)(ness)?(es)?(data)?(sets?)?", _letters(name)) is not None


def _letters(name: str) -> str:
    # Digits are those of SIR2 and of numbered copies.
    return re.sub(r"[^a-z]", "", name.lower())
