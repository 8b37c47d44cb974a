"""Sets of TFDS that this project did not make, and the independence of TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sirr_jax.data.prepare.pack import pack
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.segmentation import FolderLabelled
from sirr_jax.errors import UserError
from tests.helpers.photo_files import labelled_photo

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Prepares a set with other features than those of this project."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def prepare(name, features, examples, file_format="array_record"):
        def split_generators(self, manager):
            return {"train": self._generate_examples(examples), "test": self._generate_examples(examples[:1])}

        body = {
            "name": name,
            "VERSION": tfds.core.Version("1.2.3"),
            "_info": lambda self: tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            ),
            "_split_generators": split_generators,
            "_generate_examples": lambda self, found: iter(enumerate(found)),
            "__module__": __name__,
        }
        base = tfds.core.GeneratorBasedBuilder
        builder = type(name.title(), (base,), body, skip_registration=True)(data_dir=tmp_path, file_format=file_format)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))

    return prepare


def png(tmp_path, array):
    from PIL import Image

    path = tmp_path / f"{abs(hash(array.tobytes()))}.png"
    Image.fromarray(array).save(path)
    return str(path)


def test_photos_of_another_set(prepare, tmp_path):
    photos = [labelled_photo(label, 10 + label, 12) for label in range(4)]
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=9)}
    prepare("flowers", features, [{"image": png(tmp_path, photo), "label": 3} for photo in photos])
    source = FolderPhotos("tfds:flowers#train", crop=10)
    assert len(source) == 4
    for index, photo in enumerate(photos):
        np.testing.assert_array_equal(source.read(index), photo)
    assert source.name(2).endswith("flowers/1.2.3/train/2/image")
    with pytest.raises(UserError, match=r"has the parts train, test; select one: .*#train"):
        FolderPhotos("tfds:flowers")
    with pytest.raises(UserError, match=r"train/0/image is 12x10 pixels .*, too small for crops of 11x11"):
        FolderPhotos("tfds:flowers#train", crop=11)
    assert len(FolderPhotos("tfds:flowers#train", crop=11, on_corrupt="skip")) == 3
    with pytest.raises(UserError, match="whose pictures have transmission; expected pairs"):
        FolderPairs("tfds:flowers#train")


def test_segmentation_of_another_set(prepare, tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (10, 12), np.uint8)
    features = {
        "image": tfds.features.Image(),
        "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
        "file_name": tfds.features.Text(),
    }
    example = {"image": png(tmp_path, labelled_photo(1, 10, 12)), "segmentation_mask": png(tmp_path, labels)}
    prepare("pets", features, [{**example, "file_name": "a"}])
    photo, read = FolderLabelled("tfds:pets#train", classes=3).read(0)
    np.testing.assert_array_equal(photo, labelled_photo(1, 10, 12))
    np.testing.assert_array_equal(read, labels)
    with pytest.raises(UserError, match="contains the label"):
        FolderLabelled("tfds:pets#train", classes=2).read(0)


def test_damaged_images_follow_the_rule(prepare, tmp_path, caplog):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    good = png(tmp_path, labelled_photo(90, 8, 8))
    prepare("mixed", {"image": tfds.features.Image()}, [{"image": str(broken)}, {"image": good}])
    with pytest.raises(UserError, match=r"train/0/image: not an image"):
        FolderPhotos("tfds:mixed#train")
    source = FolderPhotos("tfds:mixed#train", on_corrupt="skip")
    np.testing.assert_array_equal(source.read(0), labelled_photo(90, 8, 8))
    assert "skipped (1 so far)" in caplog.text


def test_sets_without_usable_images(prepare, tmp_path):
    prepare("numbers", {"label": tfds.features.Scalar(np.int64)}, [{"label": 1}])
    with pytest.raises(UserError, match="image features of this TFDS set are none; expected one image, or some of mix"):
        FolderPhotos("tfds:numbers#train")
    pytest.importorskip("tensorflow")
    prepare("records", {"label": tfds.features.Scalar(np.int64)}, [{"label": 1}], file_format="tfrecord")
    with pytest.raises(
        UserError, match="file format tfrecord, which has no random access; prepare it with file_format"
    ):
        FolderPhotos("tfds:records#train")


def test_training_needs_neither_tfds_nor_tensorflow(photo_folder, tmp_path):
    pack(photo_folder, tmp_path / "sets" / "mine" / "1.0.0", layout="photos")
    code = """
import sys
from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.photo import PhotoCrops
from sirr_jax.data.sources.photos import FolderPhotos

for name in ("tensorflow", "tensorflow_datasets", "google.protobuf"):
    sys.modules[name] = None
stream = PhotoCrops(FolderPhotos("tfds:mine"), crop=16)
with build_loader({"photos": stream}, {"photos": 2}, loader="threads", seed=0, start_step=3) as loader:
    print(next(loader)["photos"]["transmission"].shape)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"TFDS_DATA_DIR": str(tmp_path / "sets")},
    )
    assert (done.stdout, done.returncode) == ("(2, 16, 16, 3)\n", 0), done.stderr


def test_missing_array_record(photo_folder, tmp_path, monkeypatch):
    pack(photo_folder, tmp_path / "packed", layout="photos")
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    with pytest.raises(UserError, match=r"TFDS sets need array_record .*: pip install 'sirr_jax\[train\]'"):
        FolderPhotos(tmp_path / "packed")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r"TFDS data sets need tensorflow-datasets .*: pip install"):
        pack(photo_folder, tmp_path / "again", layout="photos")
    assert not (tmp_path / "again").exists()
    assert not (tmp_path / "again.partial").exists()
