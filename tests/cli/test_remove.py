"""`sirr remove`: results, folders, existing files, errors."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from PIL import Image, ImageCms

import sirr_jax
from sirr_jax.cli.main import main
from sirr_jax.cli.photo_files import save
from sirr_jax.weights.model_file import Model, StoredNetwork, save_model


@pytest.fixture(scope="session")
def model(tmp_path_factory, student_params):
    """A student with 0.25 as its last bias: it brightens by a known amount."""
    params = jax.tree.map(np.array, student_params)
    params["decoder"]["out"]["bias"] += np.float32(0.25)
    path = tmp_path_factory.mktemp("model") / "student.safetensors"
    student = StoredNetwork("dynamics/student", {"width": "tiny"}, {"params": params})
    save_model(path, Model("dynamics", {"student": student}, license="Apache-2.0", description="made for tests"))
    return path


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 150, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def remove(*arguments):
    return main(["remove", *map(str, arguments)])


def test_result_is_written_beside_the_photo(model, photo, capsys):
    before = photo.read_bytes()
    assert remove(photo, "--model", model) == 0
    result = photo.with_name("photo.restored.png")
    assert capsys.readouterr().out.strip() == str(result)
    np.testing.assert_allclose(pixels(result), pixels(photo) + 63.75, atol=0.76)
    assert photo.read_bytes() == before
    assert sorted(p.name for p in photo.parent.iterdir()) == ["photo.png", "photo.restored.png"]


def test_max_side(model, photo, capsys):
    assert remove(photo, "--model", model, "--max-side", "16") == 2
    assert "--max-side is 16; choose 64 pixels or more, or 0 for no limit" in capsys.readouterr().err
    Image.open(photo).resize((96, 80)).save(photo)
    assert remove(photo, "--model", model, "--max-side", "64") == 0
    np.testing.assert_allclose(pixels(photo.with_name("photo.restored.png")), pixels(photo) + 63.75, atol=0.76)


def test_bundled_student_is_the_default_model(photo):
    assert remove(photo) == 0
    result = pixels(photo.with_name("photo.restored.png"))
    assert result.shape == (32, 32, 3)
    expected = 255.0 * sirr_jax.load()(pixels(photo).astype(np.uint8)).restored
    np.testing.assert_allclose(result, expected, atol=0.51)


def test_strength_0_returns_the_photo(model, photo, tmp_path):
    assert remove(photo, "--model", model, "--strength", "0", "--out", tmp_path / "out.png") == 0
    np.testing.assert_array_equal(pixels(tmp_path / "out.png"), pixels(photo))


def test_save_reflection(model, photo, tmp_path):
    assert remove(photo, "--model", model, "--out", tmp_path / "new" / "a.png", "--save-reflection") == 0
    removed = pixels(tmp_path / "new" / "a.reflection.png")
    np.testing.assert_allclose(removed, 63.75, atol=0.76)


def test_existing_result_is_replaced_with_overwrite_only(model, photo, capsys):
    result = photo.with_name("photo.restored.png")
    result.write_bytes(b"precious")
    assert remove(photo, "--model", model) == 2
    assert "exists; choose another --out or add --overwrite" in capsys.readouterr().err
    assert result.read_bytes() == b"precious"
    assert remove(photo, "--model", model, "--overwrite") == 0
    assert pixels(result).shape == (32, 32, 3)


def test_existing_reflection_is_an_error_before_anything_is_written(model, photo, capsys):
    layer = photo.with_name("photo.restored.reflection.png")
    layer.write_bytes(b"precious")
    assert remove(photo, "--model", model, "--save-reflection") == 2
    assert "photo.restored.reflection.png exists" in capsys.readouterr().err
    assert layer.read_bytes() == b"precious"
    assert not photo.with_name("photo.restored.png").exists()


def test_a_folder_of_photographs(model, photo, tmp_path):
    Image.open(photo).save(tmp_path / "second.png")
    (tmp_path / "notes.txt").write_text("no photograph")
    assert remove(tmp_path, "--model", model, "--out", tmp_path / "done") == 0
    assert sorted(p.name for p in (tmp_path / "done").iterdir()) == ["photo.restored.png", "second.restored.png"]


def test_folder_is_restored_again_without_its_results(model, photo, tmp_path, capsys):
    folder = tmp_path / "photos"
    (folder / "album.jpg").mkdir(parents=True)  # a folder with the name of a photo
    for name in ("a.png", "b.png", "._a.png", ".1.partial.png"):
        (folder / name).write_bytes(photo.read_bytes())
    assert remove(folder, "--model", model, "--save-reflection") == 0
    results = [f"{x}.restored{layer}.png" for x in "ab" for layer in ("", ".reflection")]
    assert sorted(capsys.readouterr().out.split()) == sorted(str(folder / name) for name in results)
    (folder / "c.png").write_bytes(photo.read_bytes())
    assert remove(folder, "--model", model) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == [str(folder / "c.restored.png")]
    assert captured.err.splitlines() == [
        f"skipping {folder / name}.png: {folder / name}.restored.png exists (--overwrite to replace)" for name in "ab"
    ]
    assert remove(folder, "--model", model, "--overwrite") == 0
    assert len(capsys.readouterr().out.split()) == 3
    assert len(list(folder.iterdir())) == 6 + 3 + 2  # photos and other entries, results, reflections


def test_unreadable_photo_does_not_stop_the_others(model, photo, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "b.png").write_bytes(photo.read_bytes()[:200])
    Image.new("RGB", (8, 8)).save(folder / "d.png")
    assert remove(folder, "--model", model, "--out", tmp_path / "done") == 2
    assert sorted(p.name for p in (tmp_path / "done").iterdir()) == ["a.restored.png", "c.restored.png"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert f"{folder / 'b.png'}: " in lines[0]
    assert f"{folder / 'd.png'}: the image is 8x8 px" in lines[1]
    assert "2 of 4 photographs could not be restored" in lines[2]


def test_icc_profile_is_kept(model, photo, tmp_path):
    def profile_of(path):
        with Image.open(path) as image:
            return image.info.get("icc_profile")

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.open(photo).save(photo, icc_profile=profile)
    assert remove(photo, "--model", model) == 0
    assert profile_of(photo.with_name("photo.restored.png")) == profile
    for name in ("a.jpg", "a.webp", "a.tif"):
        save(np.zeros((32, 32, 3)), tmp_path / name, profile=profile)
        assert profile_of(tmp_path / name) == profile
    Image.open(photo).convert("L").save(photo, icc_profile=profile)  # the result becomes RGB
    assert remove(photo, "--model", model, "--overwrite") == 0
    assert profile_of(photo.with_name("photo.restored.png")) is None


def test_file_names_of_maximal_length_and_outside_utf8(model, photo):
    strange = photo.rename(photo.with_name("ü" * 117 + "\udce9.png"))  # 239 bytes; the last one is not valid UTF-8
    assert remove(strange, "--model", model) == 0
    assert strange.with_name(f"{strange.stem}.restored.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photo.png", "--out", "file/"], "cannot make the folder"),
        (["photo.png", "--out", "folder.png"], "is a folder; choose another --out"),
        (["photo.png", "--out", "a.gif"], "--out a.gif has an unsupported suffix; choose .png"),
        (["photo.png", "--out", "nowhere.png"], "nowhere.png exists; choose another --out"),
    ],
)
def test_unwritable_results_are_an_error_before_the_model_is_loaded(
    arguments, message, photo, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder.png" / "photo.restored.png").mkdir(parents=True)
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "elsewhere.png")
    monkeypatch.setattr("sirr_jax.inference.restorer.load", None)  # an attempt to load the model fails
    assert remove(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "no file or folder at"),
        (["empty"], "holds no photograph"),
        (["broken.png"], "broken.png"),
        (["small.png"], "8x8 px; at least 16 px a side"),
        (["photo.png", "--overwite"], "unrecognized arguments: --overwite; did you mean --overwrite?"),
        (["photo.png", "--max-side", "ten"], "argument --max-side: invalid int value: 'ten'; see sirr remove --help"),
        (["photo.png", "--strength", "1.5"], "--strength is 1.5; give a number from 0 to 1"),
        (["photo.png", "--self-ensemble", "3"], "--self-ensemble is 3; choose 1 or 2 or 4 or 8"),
        (["photo.png", "copy/photo.png", "--out", "a.png"], "there are several photographs; give a folder"),
        (["photo.png", "copy/photo.png", "--out", "out"], "would both be written"),
        (["photo.png", "--model", "missing.safetensors"], "no model file at"),
        (["photo.png", "--model", "photo.png"], "no weight file of a known type"),
        (["photo.png", "--model", "teacher.safetensors"], "does not restore single images"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(arguments, message, model, photo, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "photo.png").write_bytes(photo.read_bytes())
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:200])
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    teacher = StoredNetwork("dynamics/teacher", {"width": "tiny"}, {"params": {"w": np.zeros(1)}})
    save_model(tmp_path / "teacher.safetensors", Model("dynamics", {"teacher": teacher}, license="-", description="-"))
    before = sorted(p.name for p in tmp_path.rglob("*"))
    if "--model" not in arguments:
        arguments = [*arguments, "--model", model]
    assert remove(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("sirr remove: ")
    assert message in error
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
