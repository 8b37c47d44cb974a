"""TFDS builders of the data sets in `catalogue`, defined on first use."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.sequence_folders import SEQUENCES
from sirr_jax.data.prepare.tfds.catalogue import CATALOGUE, DatasetSpec, dataset_spec
from sirr_jax.data.prepare.tfds.features import LABEL_LAYERS, check_layers, label_space, read_example
from sirr_jax.data.prepare.tfds.library import load_tfds
from sirr_jax.data.storage.tfds.index import KEY, SetIndex
from sirr_jax.data.tensorflow_import import load_tensorflow
from sirr_jax.errors import UserError

_VERSION = "1.0.0"
# The first is the default: it has random access and does not need TensorFlow.
_FILE_FORMATS = ("array_record", "tfrecord")
_READ_AHEAD = 32


def builder(
    name: str,
    *,
    manual_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    config: str | None = None,
    file_format: str | None = None,
    prepare: bool = False,
) -> Any:
    """Returns the TFDS builder of a data set, and optionally builds the set.

    Args:
        name: name of the data set, one of `names()`.
        manual_dir: folder with the user's copy: in a subfolder named like the data set without `sirr_` (`real20`), as
            the folder itself, or as the only set of that layout in it. None for the default of TFDS,
            `<data_dir>/downloads/manual`.
        data_dir: folder of built TFDS data sets; None for `~/tensorflow_datasets`.
        config: layers of an example, for data sets with a choice: "pairs", "triplets" (with the reflection),
            "labelled", "mixtures". None for the first.
        file_format: "array_record", for `as_data_source`, or "tfrecord", for `as_dataset`. None for that of an already
            built set, otherwise "array_record".
        prepare: whether to build the set if `data_dir` does not contain it.

    Returns:
        The `tfds.core.DatasetBuilder`. Examples have "name", "sequence" (of sequences), and by config "mixture",
        "transmission", "reflection": uint8 [H, W, 3], and "labels", "reflection_labels": uint8 [H, W, 1], whose meaning
        is in `info.metadata`. Order and splits are those of the layout; a set without parts has the split "train" or
        "test".

    Raises:
        UserError: The name, config or file format is unknown, the set is already built in another format, or TFDS is
            not installed. On building: the set is missing (the message states where it is published), has files without
            partners, or lacks a layer.
        UnreadableImageError: A file cannot be decoded on building.
    """
    spec = dataset_spec(name)
    if config is not None and config not in spec.layers:
        raise UserError(f"{name} has no config {config!r}; it has {', '.join(spec.layers)}")
    if file_format not in (None, *_FILE_FORMATS):
        raise UserError(f"file_format={file_format!r}: expected one of {', '.join(_FILE_FORMATS)}")
    tfds = register()
    if file_format == "tfrecord":
        load_tensorflow()  # before TFDS imports it without hiding the GPU
    tfds_builder = tfds.builder(name, data_dir=data_dir, config=config if len(spec.layers) > 1 else None)
    if file_format is not None and not tfds_builder.info.initialized:
        tfds_builder.info.set_file_format(file_format, override=True)
    elif file_format not in (None, tfds_builder.info.file_format.value):
        raise UserError(
            f"{tfds_builder.data_path} is built as {tfds_builder.info.file_format.value}, not {file_format}: "
            "use another data_dir or delete that folder"
        )
    if prepare and not tfds_builder.info.initialized:
        home = Path(tfds_builder.data_dir_root, "downloads", "manual") if manual_dir is None else Path(manual_dir)
        spec.find(home)
        tfds_builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=home, try_download_gcs=False)
        )
    return tfds_builder


@functools.cache
def register() -> ModuleType:
    """Makes the data sets known to TFDS, for `tfds.load` and `tfds.builder`; further calls do nothing.

    Returns:
        The module `tensorflow_datasets`.

    Raises:
        UserError: TFDS is not installed.
    """
    tfds = load_tfds()
    base = _base(tfds)
    for spec in CATALOGUE.values():
        # Creating the class registers it.
        type("".join(word.title() for word in spec.name.split("_")), (base,), _class_body(tfds, spec))
    return tfds


def _class_body(tfds: ModuleType, spec: DatasetSpec) -> dict[str, Any]:
    configs = [
        tfds.core.BuilderConfig(name=config, version=_VERSION, description=", ".join(layers))
        for config, layers in spec.layers.items()
    ]
    instructions = spec.instructions
    return {
        "__doc__": spec.layouts[0].title,
        "__module__": __name__,
        "name": spec.name,
        "spec": spec,
        "VERSION": tfds.core.Version(_VERSION),
        "BUILDER_CONFIGS": configs if len(configs) > 1 else [],
        "MANUAL_DOWNLOAD_INSTRUCTIONS": instructions[0].upper() + instructions[1:],
    }


def _base(tfds: ModuleType) -> type:
    """Returns the base class of the builders of all data sets."""

    # TFDS is imported lazily, so its classes have no static type.
    class Base(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[name-defined,call-arg]
        spec: DatasetSpec

        def __init__(self, *, file_format: str | None = None, **options: Any) -> None:
            super().__init__(file_format=file_format, **options)
            if file_format is None and not self.info.initialized:
                self.info.set_file_format(_FILE_FORMATS[0], override=True)

        @property
        def layers(self) -> tuple[str, ...]:
            config = self.builder_config
            return self.spec.layers[config.name] if config else next(iter(self.spec.layers.values()))

        def _info(self) -> Any:
            features: dict[str, Any] = {"name": tfds.features.Text()}
            if SEQUENCES in self.spec.layouts:
                features["sequence"] = tfds.features.Text()
            for layer in self.layers:
                channels = 1 if layer in LABEL_LAYERS else 3
                features[layer] = tfds.features.Image(shape=(None, None, channels), encoding_format="png")
            return tfds.core.DatasetInfo(
                builder=self,
                description=self.spec.layouts[0].title,
                features=tfds.features.FeaturesDict(features),
                metadata=tfds.core.MetadataDict(),
                # Results are reported per picture and frames belong together: keep the order of the names.
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            try:
                home = dl_manager.manual_dir
            except AssertionError:  # TFDS raises it for a missing or empty folder
                raise UserError(f"{self.name}: manual_dir is missing or empty: {self.spec.instructions}") from None
            layout, root = self.spec.find(home)
            splits = self.spec.splits(layout, root)
            entries = [entry for split in splits.values() for entry in split]
            check_layers(entries, self.layers, "/".join(filter(None, (self.name, self.builder_config_name))))
            space = label_space(layout, entries, self.layers)
            if space is not None:
                self.info.metadata.update(label_space=space.title, classes=space.classes, ignore=space.ignore)
            parts = layout.parts(root)
            index = SetIndex({split: split if split in parts else "" for split in splits})
            self.info.metadata[KEY] = {"layout": layout.name, "title": layout.title, "published": layout.published}
            return {
                split: self._generate_examples(split, layout, root, pictures, index)
                for split, pictures in splits.items()
            }

        def _generate_examples(
            self, split: str, layout: Layout, root: Path, entries: tuple[Entry, ...], index: SetIndex
        ) -> Iterator[tuple[str, dict[str, Any]]]:
            read = functools.partial(read_example, layout, root, layers=self.layers)
            pictures = index.pictures.setdefault(split, [])
            with ThreadPoolExecutor() as pool:
                # In small groups: `map` reads all its inputs at once, and photos are large.
                for start in range(0, len(entries), _READ_AHEAD):
                    for example in pool.map(read, entries[start : start + _READ_AHEAD]):
                        pictures.append(example.picture)
                        yield example.picture.name, example.values
            # The last split completes the index; TFDS writes the metadata after all of them.
            self.info.metadata[KEY].update(index.to_metadata())

    return Base
