"""Data sets in every layout, with pictures of a few pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (10, 12)


def picture(path: Path, *, size: tuple[int, int] = SIZE, seed: int = 0) -> Path:
    """Writes an image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)).save(path)
    return path


def labels(path: Path, values=(0, 1, 20, 255), *, size: tuple[int, int] = SIZE, palette: bool = False) -> Path:
    """Writes a label image that contains each of the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.resize(np.array(values, np.uint8), size))
    if palette:
        image = image.convert("L")
        image.putpalette([(7 * index) % 256 for index in range(768)])
    image.save(path)
    return path


def layer_folders(root: Path, names, *, reflection: bool = False) -> Path:
    for name in names:
        picture(root / "blended" / f"{name}.jpg")
        picture(root / "transmission_layer" / f"{name}.png")
        if reflection:
            picture(root / "reflection_layer" / f"{name}.png")
    return root


def ceilnet(root: Path, names=("2008_000001", "7"), endings=("input", "label1", "label2")) -> Path:
    for name in names:
        for ending in endings:
            picture(root / f"{name}-{ending}.png")
    return root


def rsir2(root: Path) -> Path:
    for split, count in (("train", 3), ("test", 2)):
        for index in range(count):
            picture(root / "images" / split / "A" / f"19-{index}.jpeg")
            picture(root / "images" / split / "B" / f"19-{index}.jpg")
    return root


def deraindrop(root: Path, counts=(("train", 11, "png"), ("test_a", 3, "png"), ("test_b", 2, "jpg"))) -> Path:
    for part, count, extension in counts:
        for index in range(count):
            picture(root / part / "data" / f"{index}_rain.{extension}")
            picture(root / part / "gt" / f"{index}_clean.{extension}")
    return root


def sgrrn(root: Path, *, palette: bool = False) -> Path:
    for split in ("train", "val", "test"):
        name = "1-person-pottedplant.png"
        for folder in ("input", "background", "reflection"):
            picture(root / split / folder / name)
        for folder in ("bg-semantic", "rf-semantic"):
            labels(root / split / folder / name, palette=palette)
    return root


def voc(root: Path) -> Path:
    for index in range(4):
        picture(root / "JPEGImages" / f"2007_{index}.jpg")
    for index in (1, 3):
        labels(root / "SegmentationClass" / f"2007_{index}.png", palette=True)
    return root


def cityscapes(root: Path) -> Path:
    for split, city in (("train", "aachen"), ("train", "bochum"), ("val", "lindau")):
        name = f"{city}_000000_000019"
        picture(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png")
        folder = root / "gtFine" / split / city
        labels(folder / f"{name}_gtFine_labelIds.png", (0, 7, 33))
        picture(folder / f"{name}_gtFine_color.png")
        (folder / f"{name}_gtFine_polygons.json").write_text("{}")
    labels(root / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelTrainIds.png", (0, 18, 255))
    return root


def foggy(root: Path) -> Path:
    """Writes Cityscapes with two photos in fog, in three densities."""
    for split, city in (("train", "aachen"), ("val", "lindau")):
        for beta in ("0.005", "0.01", "0.02"):
            name = f"{city}_000000_000019_leftImg8bit_foggy_beta_{beta}.png"
            picture(root / "leftImg8bit_foggy" / split / city / name)
    return cityscapes(root)


RAIN = ((0.01, 0.005, 0.01), (0.02, 0.01, 0.005), (0.03, 0.015, 0.002))


def rain(root: Path, *, infix: str = "") -> Path:
    """Writes six versions of one photo in rain, and a second photo without rain."""
    for alpha, beta, size in RAIN:
        for pattern in (2, 12):
            name = f"aachen_000000_000019{infix}_rain_alpha_{alpha}_beta_{beta}_dropsize_{size}_pattern_{pattern}.png"
            picture(root / "leftImg8bit_rain" / "train" / "aachen" / name)
    for number in (19, 20):
        picture(root / "leftImg8bit" / "train" / "aachen" / f"aachen_000000_0000{number}_leftImg8bit.png")
    return root


def coco_stuff(root: Path, *, folder: str = "annotations") -> Path:
    for split, name in (("train2017", "000000000009"), ("train2017", "000000000025"), ("val2017", "000000000139")):
        picture(root / "images" / split / f"{name}.jpg")
        labels(root / folder / split / f"{name}.png", (0, 91, 181, 255))
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / "instances_val2017.json").write_text("{}")
    return root


def faces(root: Path) -> Path:
    for index in (0, 1, 2000):
        picture(root / "CelebA-HQ-img" / f"{index}.jpg", size=(16, 16))
        for part in ("skin", "l_brow", "hair"):
            folder = root / "CelebAMask-HQ-mask-anno" / str(index // 2000)
            picture(folder / f"{index:05}_{part}.png", size=(8, 8))
    return root


def sequences(root: Path) -> Path:
    for number in range(2):
        for frame in range(3 + number):
            for offset, layer in enumerate(("blended", "transmission", "reflection")[: 3 - number]):
                picture(root / f"s{number}" / layer / f"{frame + 8}.png", seed=10 * frame + offset)
    return root


def triplet(folder: Path, *names: str) -> Path:
    for name in names or ("m.png", "g.png", "r.png"):
        picture(folder / name)
    return folder


def sir2_raw(root: Path) -> Path:
    triplet(root / "SolidObjectDataset" / "1" / "Focus" / "1")
    triplet(root / "SolidObjectDataset" / "1" / "Thickness" / "1")
    triplet(root / "SolidObjectDataset" / "10" / "Focus" / "2", "m.jpg", "g.jpg", "r.jpg")
    triplet(root / "Postcard Dataset" / "Focus" / "1-3" / "1", "1_m.png", "1_g.png", "1_r.png")
    triplet(root / "withgt" / "9", "m.jpg", "g.jpg", "r.jpg")
    triplet(root / "withgt" / "10", "m_rs.jpg", "g_rs.jpg", "r_rs.jpg")
    return root


def tiny_png() -> bytes:
    """Returns a PNG file of one gray pixel."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1), 128).save(buffer, "PNG")
    return buffer.getvalue()


def sir2_release(
    root: Path,
    *,
    postcards: str = "Postcard Dataset",
    objects: str = "SolidObjectDataset",
    wild: str = "Wildscene",
    thick: str = "Thick",
) -> Path:
    """Writes SIR2 as people hold it, with files of one pixel: 200 postcards, 199 objects, 101 wild scenes."""
    png = tiny_png()

    def write(folder: Path, *names: str) -> None:
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(png)

    for scene in range(1, 21):
        pair = f"{scene // 5 + 1}-{scene % 5 + 1}"
        for variation, values in (("Focus", (11, 13, 16, 19, 22, 27, 32)), (thick, (3, 5, 10))):
            for n, value in enumerate(values, start=1):
                names = [f"{pair}-{n}-{layer}-{value}.png" for layer in "mgr"]
                write(root / postcards / variation / pair / str(n), *names)
                if (scene, variation, n) != (20, thick, 3):
                    names = [f"{scene}-{n}-{layer}-{value}.png" for layer in "mgr"]
                    write(root / objects / str(scene) / variation / str(n), *names)
    for n in range(1, 102):
        write(root / wild / str(n), "m.jpg", "g.jpg", "r.jpg")
    return root
