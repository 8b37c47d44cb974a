"""Time the data pipeline: JPEG and PNG, in folders and in TFDS sets, against decoding alone; memory over many epochs.

    python scripts/benchmark_data.py
    python scripts/benchmark_data.py --photos=/photos --count=500 --crop=256

Writes its folders to a temporary place. `decode alone` is what as many threads as there are cores decode and cut, with
nothing around them: no pipeline can be faster. Rates are means over the batches, as a training would see them, and
medians of interleaved runs; the ratios are medians of the ratios of each run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from sirr_jax.data.images.crops import cut, draw_region
from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.samples.photo import PhotoCrops
from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos, PhotoSource

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}


def _write_photos(folder: Path, photos: PhotoSource, *, count: int, side: int) -> dict[str, Path]:
    """The same squares as JPEG (quality 95) and as PNG, in folders and in TFDS sets."""
    key = StreamKey(0, "benchmark")
    places: dict[str, Path] = {}
    for kind, suffix in _SUFFIXES.items():
        places[f"{kind} folder"] = folder / kind
        (folder / kind).mkdir()
        for number in range(count):
            photo = photos.read(number % len(photos))
            generator = key.generator("square", number)
            region = draw_region(generator, photo.shape[:2], canvas=side, crop=1, max_scale=4.0, name=str(number))
            Image.fromarray(cut(photo, region, side)).save(folder / kind / f"{number:05}{suffix}", quality=95)
        places[f"{kind} TFDS"] = folder / f"{kind}-tfds"
        pack(folder / kind, places[f"{kind} TFDS"])
    return places


def _decoded_per_second(stream: PhotoCrops, count: int) -> float:
    key, workers = StreamKey(1, "photos"), len(os.sched_getaffinity(0))

    def take(positions: Iterable[int]) -> None:
        for position in positions:
            stream.sample(position, key)

    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(take, (range(worker, count, workers) for worker in range(workers))))
    return count / (time.perf_counter() - start)


def _fed_per_second(stream: PhotoCrops, *, kind: str, batch: int, batches: int) -> float:
    seconds = []
    with build_loader(
        {"photos": stream}, {"photos": batch}, loader=kind, seed=1, start_step=0, memory_limit=0
    ) as pipeline:
        for _ in range(4):
            next(pipeline)
        for _ in range(batches):
            start = time.perf_counter()
            next(pipeline)
            seconds.append(time.perf_counter() - start)
    # Some batches are ready and others are not: only the mean tells the rate.
    return batch / statistics.fmean(seconds)


def _interleaved(
    streams: dict[str, PhotoCrops], *, rounds: int, batch: int, batches: int
) -> dict[str, tuple[list[float], ...]]:
    """The rates of each stream in every round, by column: other programs slow all streams of a round alike."""
    rates: dict[str, tuple[list[float], ...]] = {name: ([], [], []) for name in streams}
    for number in range(rounds):
        for name in list(streams)[:: -1 if number % 2 else 1]:
            stream, (alone, tf, threads) = streams[name], rates[name]
            alone.append(_decoded_per_second(stream, batch * batches))
            tf.append(_fed_per_second(stream, kind="tf", batch=batch, batches=batches))
            threads.append(_fed_per_second(stream, kind="threads", batch=batch, batches=batches))
    return rates


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _memory(stream: PhotoCrops, *, epochs: int, count: int, batch: int) -> list[float]:
    """Resident memory after each tenth of the epochs."""
    sizes = []
    steps = max(epochs * count // batch, 10)
    with build_loader({"photos": stream}, {"photos": batch}, loader="tf", seed=1, start_step=0) as pipeline:
        for step in range(steps):
            next(pipeline)
            if (step + 1) % (steps // 10) == 0:
                sizes.append(_resident_mib())
    return sizes


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photographs (default: scikit-image's)")
    parser.add_argument("--count", type=int, default=200, help="squares to write (default: 200)")
    parser.add_argument("--side", type=int, default=512, help="their side in pixels (default: 512)")
    parser.add_argument("--crop", type=int, default=256, help="side of the crops (default: 256)")
    parser.add_argument("--batch", type=int, default=16, help="crops per batch (default: 16)")
    parser.add_argument("--batches", type=int, default=60, help="batches to time (default: 60)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="interleaved runs, of which medians are shown (default: 5)"
    )
    parser.add_argument("--epochs", type=int, default=40, help="epochs to watch the memory over (default: 40)")
    args = parser.parse_args()

    photos = FolderPhotos(args.photos) if args.photos else EmbeddedPhotos("train")
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        places = _write_photos(Path(folder), photos, count=args.count, side=args.side)
        title = (
            f"{args.count} photographs of {args.side} px, crops of {args.crop} px, {len(os.sched_getaffinity(0))} cores"
        )
        columns = ("decode alone", "tf pipeline", "memory pipeline, nothing kept")
        table = Table("", *columns, "MiB on disk", title=title)
        streams = {name: PhotoCrops(FolderPhotos(place), crop=args.crop) for name, place in places.items()}
        rates = _interleaved(streams, rounds=args.rounds, batch=args.batch, batches=args.batches)
        for name, place in places.items():
            size = sum(path.stat().st_size for path in place.iterdir()) / 2**20
            table.add_row(name, *(f"{statistics.median(rate):.0f}/s" for rate in rates[name]), f"{size:.1f}")
        for kind in _SUFFIXES:
            pairs = zip(rates[f"{kind} TFDS"], rates[f"{kind} folder"], strict=True)
            ratios = [statistics.median(a / b for a, b in zip(*pair, strict=True)) for pair in pairs]
            table.add_row(f"{kind}: TFDS / folder", *(f"{ratio:.2f}" for ratio in ratios), "")
        console.print(table)
        for name in ("JPEG folder", "JPEG TFDS"):
            sizes = _memory(streams[name], epochs=args.epochs, count=args.count, batch=args.batch)
            said = " ".join(f"{size:.0f}" for size in sizes)
            console.print(f"{name}: resident MiB over {args.epochs} epochs, at every tenth: {said}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
