"""Photos with labels: PASCAL VOC, Cityscapes, ADE20K, COCO-Stuff, CelebAMask-HQ, and SR-Net's `img` and `seg`.

Specification of `srnet`, section 6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from sirr_jax.data.images.image_file import ImageFile, path_of
from sirr_jax.data.images.label_maps import FACE_PARTS
from sirr_jax.data.images.label_spaces import ADE20K as ADE20K_SPACE
from sirr_jax.data.images.label_spaces import ANY, CITYSCAPES_IDS, CITYSCAPES_TRAIN_IDS, LabelSpace
from sirr_jax.data.images.label_spaces import COCO_STUFF as COCO_STUFF_SPACE
from sirr_jax.data.images.label_spaces import VOC as VOC_SPACE
from sirr_jax.data.images.reader import list_folder, natural_order
from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import names_of, plain_name, subfolder, subfolders
from sirr_jax.data.layouts.matching import has_folders, index_files, match, number_before_underscore, scan_folders
from sirr_jax.data.layouts.registry import register

_VOC_HOMES = ("", "VOC2012", "VOCdevkit/VOC2012")
_CITYSCAPES = {"train": 2975, "val": 500, "test": 1525}
_ADE20K = {"training": 20210, "validation": 2000}
_COCO_STUFF = {"train2017": 118287, "val2017": 5000}
_COCO_LABELS = ("annotations", "stuffthingmaps_trainval2017")
_FACES = 30000


def _voc_home(root: Path) -> Path | None:
    homes = (subfolder(root, home) if home else root for home in _VOC_HOMES)
    return next((home for home in homes if has_folders(home, "JPEGImages", "SegmentationClass")), None)


def _scan_voc(root: Path) -> Scan:
    home = _voc_home(root) or root
    findings: list[Finding] = []
    folders = {"transmission": "JPEGImages", "labels": "SegmentationClass"}
    # Only a few of the photos are labelled.
    entries = scan_folders(home, folders, findings, may_lack=("labels",))
    expected = (2913,) if any(plain_name(name) == "voc2012" for name in names_of(home)) else ()
    return Scan((Part("", entries, expected),), tuple(findings))


def _scan_cityscapes(root: Path) -> Scan:
    findings: list[Finding] = []
    parts = []
    for split, expected in _CITYSCAPES.items():
        photos = subfolder(root, f"leftImg8bit/{split}")
        labels = subfolder(root, f"gtFine/{split}")
        if not photos.is_dir() or not labels.is_dir():
            continue
        entries: list[Entry] = []
        cities = {path.name.lower(): path.name for folder in (labels, photos) for path in subfolders(folder)}
        for city in sorted(cities.values()):
            entries += _scan_city(subfolder(photos, city), subfolder(labels, city), findings, prefix=f"{split}/")
        parts.append(Part(split, tuple(entries), (expected,)))
    return Scan(tuple(parts), tuple(findings))


def _scan_city(photos: Path, labels: Path, findings: list[Finding], *, prefix: str) -> tuple[Entry, ...]:
    layers = {"transmission": city_photos(photos, findings), "labels": city_labels(labels)}
    return match(layers, {"transmission": photos, "labels": labels}, findings, prefix=prefix)


def city_photos(folder: Path, findings: list[Finding]) -> dict[str, Path]:
    """Finds the photos of one city: files `<name>_leftImg8bit.*`.

    Args:
        folder: folder of the city; a missing folder contains no files.
        findings: list to which duplicate names and odd files are appended.

    Returns:
        Name -> file.
    """
    if not folder.is_dir():
        return {}
    return index_files(folder, findings, name_of=lambda path: _without_ending(path, "_leftImg8bit"))


def city_labels(folder: Path) -> dict[str, Path]:
    """Finds the label images of one city; `labelTrainIds` takes precedence over `labelIds`.

    Args:
        folder: folder of the city; a missing folder contains no files.

    Returns:
        Name -> file.
    """
    train_ids: dict[str, Path] = {}
    ids: dict[str, Path] = {}
    # The same folder also contains polygons, instances and colors.
    for path in list_folder(folder) if folder.is_dir() else ():
        if name := _without_ending(path, "_gtFine_labelTrainIds"):
            train_ids[name] = path
        elif name := _without_ending(path, "_gtFine_labelIds"):
            ids[name] = path
    return ids | train_ids


def _without_ending(path: Path, ending: str) -> str | None:
    return path.stem[: -len(ending)] if path.stem.lower().endswith(ending.lower()) else None


def _cityscapes_space(file: ImageFile) -> LabelSpace:
    return CITYSCAPES_TRAIN_IDS if path_of(file).stem.lower().endswith("_labeltrainids") else CITYSCAPES_IDS


def _scan_ade20k(root: Path) -> Scan:
    findings: list[Finding] = []
    parts = []
    for split, expected in _ADE20K.items():
        if has_folders(root, f"images/{split}", f"annotations/{split}"):
            folders = {"transmission": f"images/{split}", "labels": f"annotations/{split}"}
            parts.append(Part(split, scan_folders(root, folders, findings, prefix=f"{split}/"), (expected,)))
    return Scan(tuple(parts), tuple(findings))


def _coco_folders(root: Path, split: str) -> dict[str, str] | None:
    """Returns layer -> folder of a split; the archives of the photos unpack without `images`."""
    for photos in (f"images/{split}", split):
        for labels in _COCO_LABELS:
            if has_folders(root, photos, f"{labels}/{split}"):
                return {"transmission": photos, "labels": f"{labels}/{split}"}
    return None


def _scan_coco_stuff(root: Path) -> Scan:
    findings: list[Finding] = []
    parts = []
    for split, expected in _COCO_STUFF.items():
        if folders := _coco_folders(root, split):
            parts.append(Part(split, scan_folders(root, folders, findings, prefix=f"{split}/"), (expected,)))
    return Scan(tuple(parts), tuple(findings))


def _scan_faces(root: Path) -> Scan:
    findings: list[Finding] = []
    photos = index_files(subfolder(root, "CelebA-HQ-img"), findings)
    masks: dict[str, dict[str, Path]] = defaultdict(dict)
    for folder in subfolders(subfolder(root, "CelebAMask-HQ-mask-anno")):
        _add_masks(index_files(folder, findings), masks, findings)
    entries = []
    for name in sorted(photos.keys() | masks.keys(), key=natural_order):
        if name not in masks:
            findings.append(Finding("unpaired", photos[name], "no mask of any part in CelebAMask-HQ-mask-anno"))
        elif name not in photos:
            findings.append(Finding("unpaired", next(iter(masks[name].values())), f"no file {name!r} in CelebA-HQ-img"))
        else:
            entries.append(Entry(name, {"transmission": photos[name]} | masks[name]))
    return Scan((Part("", tuple(entries), (_FACES,)),), tuple(findings))


def _add_masks(files: Mapping[str, Path], masks: dict[str, dict[str, Path]], findings: list[Finding]) -> None:
    """Adds mask files by face number and layer: `00012_l_brow` becomes "mask/l_brow" of face 12."""
    for stem, path in files.items():
        number, part = number_before_underscore(path), stem.partition("_")[2]
        if number is None or part not in FACE_PARTS:
            findings.append(Finding("odd file", path, "the name is not <number>_<face part>; not read"))
        elif f"mask/{part}" in masks[number]:
            other = masks[number][f"mask/{part}"]
            findings.append(Finding("doubled", path, f"is the same mask as {other.name}; keep one"))
        else:
            masks[number][f"mask/{part}"] = path


def _scan_seg(root: Path) -> Scan:
    findings: list[Finding] = []
    return Scan((Part("", scan_folders(root, {"transmission": "img", "labels": "seg"}, findings)),), tuple(findings))


VOC = Layout(
    "voc",
    "PASCAL VOC with segmentation",
    "[VOCdevkit/VOC2012/]{JPEGImages,SegmentationClass}/<name>",
    "host.robots.ox.ac.uk/pascal/VOC",
    lambda root: _voc_home(root) is not None,
    _scan_voc,
    label_space=lambda _: VOC_SPACE,
    unread=("*jpegimages/*", "*segmentationobject/*"),
)
CITYSCAPES = Layout(
    "cityscapes",
    "Cityscapes",
    "leftImg8bit/<split>/<city>/<name>_leftImg8bit.* and gtFine/<split>/<city>/<name>_gtFine_label{TrainIds,Ids}.*",
    "cityscapes-dataset.com (on registration)",
    lambda root: has_folders(root, "leftImg8bit", "gtFine"),
    _scan_cityscapes,
    label_space=_cityscapes_space,
    unread=("*gtfine_*",),
)
ADE20K = Layout(
    "ade20k",
    "ADE20K, scene parsing",
    "{images,annotations}/{training,validation}/<name>",
    "sceneparsing.csail.mit.edu",
    lambda root: any(has_folders(root, f"images/{split}", f"annotations/{split}") for split in _ADE20K),
    _scan_ade20k,
    label_space=lambda _: ADE20K_SPACE,
)
COCO_STUFF = Layout(
    "coco_stuff",
    "COCO-Stuff",
    "images/{train2017,val2017}/<name> and {annotations,stuffthingmaps_trainval2017}/{train2017,val2017}/<name>",
    "github.com/nightrome/cocostuff",
    lambda root: any(_coco_folders(root, split) for split in _COCO_STUFF),
    _scan_coco_stuff,
    label_space=lambda _: COCO_STUFF_SPACE,
)
CELEBAMASK_HQ = Layout(
    "celebamask_hq",
    "CelebAMask-HQ",
    "CelebA-HQ-img/<i>.* and CelebAMask-HQ-mask-anno/<folder>/<i>_<part>.*",
    "github.com/switchablenorms/CelebAMask-HQ",
    lambda root: has_folders(root, "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"),
    _scan_faces,
    # Photos have 1024 pixels a side, masks 512.
    labels_may_differ=True,
)
SEG = Layout(
    "seg",
    "photographs with label maps",
    "{img,seg}/<name>",
    "",
    lambda root: has_folders(root, "img", "seg"),
    _scan_seg,
    label_space=lambda _: ANY,
)

register(VOC, rank=110)
register(CITYSCAPES, rank=113)
register(ADE20K, rank=114)
register(COCO_STUFF, rank=115)
register(CELEBAMASK_HQ, rank=116)
register(SEG, rank=117)
