from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn.datasets import DatasetError, DatasetFolder, FakeData, ImageFolder, folder
from minicnn.transforms import Compose, Resize, ToTensor
from minicnn.utils.data import DataLoader


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (5, 4), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    image = Image.fromarray(pixels[..., 0] if bands == 1 else pixels)
    (image if image.mode == mode else image.convert(mode)).save(path, **options)
    return path


def test_attributes_and_samples(tmp_path: Path) -> None:
    for name in ("dog/b.png", "dog/a.JPG", "cat/1.png", "cat/more/2.webp", "cat/also/0.bmp"):
        picture(tmp_path / name)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "readme.png").write_text("in no class")
    data = ImageFolder(tmp_path)
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    wanted = ["cat/1.png", "cat/also/0.bmp", "cat/more/2.webp", "dog/a.JPG", "dog/b.png"]
    assert data.samples == [(str(tmp_path / name), int(name[0] == "d")) for name in wanted] == data.imgs
    assert data.targets == [0, 0, 0, 1, 1] and len(data) == 5 and data[-1][1] == 1
    image, target = data[0]
    assert image.mode == "RGB" and image.size == (5, 4) and target == 0
    np.testing.assert_array_equal(np.asarray(image), np.asarray(Image.open(tmp_path / "cat/1.png")))
    assert repr(data).splitlines() == [
        "Dataset ImageFolder", "    Number of datapoints: 5", f"    Root location: {tmp_path}",
    ]  # fmt: skip
    with pytest.raises(IndexError):
        data[5]
    (x, y), *_ = DataLoader(ImageFolder(tmp_path, Compose([Resize((6, 7)), ToTensor()]), lambda y: y + 10), 5)
    assert x.shape == (5, 3, 6, 7) and y.tolist() == [10, 10, 10, 11, 11]
    assert pickle.loads(pickle.dumps(data)).samples == data.samples  # as a worker process gets it


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "1", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    end = "tif" if mode == "CMYK" else "png"
    if mode == "I;16":
        Image.fromarray(np.full((4, 5), 300, np.uint16)).save(tmp_path / "image.png")
    else:
        picture(tmp_path / f"image.{end}", mode)
    image = folder.pil_loader(tmp_path / f"image.{end}")
    assert image.mode == "RGB" and image.size == (5, 4)


def test_own_loaders_and_files(tmp_path: Path) -> None:
    for number, name in enumerate(("a/0.npy", "b/1.npy", "b/2.txt")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(str(tmp_path / name), number) if name.endswith("npy") else (tmp_path / name).write_text("")
    data = DatasetFolder(tmp_path, np.load, (".npy",), transform=int)
    assert [data[i] for i in range(2)] == [(0, 0), (1, 1)]
    assert len(ImageFolder(tmp_path, is_valid_file=lambda path: not path.endswith("0.npy"), allow_empty=True)) == 2
    for both in ({}, {"extensions": (".npy",), "is_valid_file": bool}):
        with pytest.raises(ValueError, match="extensions or is_valid_file"):
            DatasetFolder(tmp_path, np.load, **both)  # type: ignore[arg-type]
    assert len(folder.make_dataset(str(tmp_path), {"b": 7, "missing": 8}, ".txt", allow_empty=True)) == 1
    with pytest.raises(ValueError, match="at least one"):
        folder.make_dataset(str(tmp_path), {}, ".txt")

    class OnlyB(DatasetFolder):
        def find_classes(self, directory: Any) -> tuple[list[str], dict[str, int]]:
            return ["b"], {"b": 5}

    assert OnlyB(tmp_path, np.load, (".npy",)).samples == [(str(tmp_path / "b/1.npy"), 5)]


def test_empty_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder"):
        ImageFolder(tmp_path)
    picture(tmp_path / "cat" / "1.png")
    (tmp_path / "bird").mkdir()
    (tmp_path / "ant").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no valid file for the classes ant, bird .*\.jpg, \.jpeg"):
        ImageFolder(tmp_path)
    assert ImageFolder(tmp_path, allow_empty=True).samples == [(str(tmp_path / "cat" / "1.png"), 2)]


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    """With two links to a folder above, a walk that follows all of them visits 2^40 folders."""
    picture(tmp_path / "data" / "cat" / "1.png")
    picture(tmp_path / "elsewhere" / "2.png")
    for name, target in (("again", "data/cat"), ("more", "data"), ("other", "elsewhere"), ("broken.png", "nothing")):
        (tmp_path / "data" / "cat" / name).symlink_to(tmp_path / target)
    found = [os.path.relpath(path, tmp_path / "data") for path, _ in ImageFolder(tmp_path / "data").samples]
    assert found == ["cat/1.png", "cat/broken.png", "cat/other/2.png"]


# --------------------------------------------------------------------------------------------- files that are wrong


def test_wrong_files_are_named(tmp_path: Path) -> None:
    for name, content in {"text.png": b"no picture", "empty.jpg": b"", "page.png": b"<html></html>"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=rf"{name}: no image, or a damaged one .*remove it"):
            folder.pil_loader(tmp_path / name)
    whole = picture(tmp_path / "cut.png", size=(60, 50)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"cut\.png: no image, or a damaged one"):
        folder.pil_loader(tmp_path / "cut.png")
    with pytest.raises(DatasetError, match=r"nowhere\.png: cannot be read"):
        folder.pil_loader(tmp_path / "nowhere.png")
    with pytest.raises(DatasetError, match=r"cannot be read.*folder"):
        folder.pil_loader(tmp_path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "image.png", size=(50, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert folder.pil_loader(tmp_path / "image.png").size == (50, 40)
    for most in (1999, 1000, 999):  # below the half, Pillow itself refuses; above, it only warns
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.warns() if most > 999 else _nothing(), pytest.raises(DatasetError, match=r"image\.png: too large"):
            folder.pil_loader(tmp_path / "image.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert folder.pil_loader(tmp_path / "image.png").size == (50, 40)


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.skipif(os.name != "posix", reason="programs of POSIX")
def test_no_file_starts_a_program(tmp_path: Path) -> None:
    """For PostScript, Pillow runs `gs`: a file of that kind is refused, whatever its name."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    (tmp_path / "image.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n%%EOF\n"
    )
    code = (
        "import sys; from minicnn.datasets import folder, DatasetError\n"
        "try: folder.pil_loader(sys.argv[1])\n"
        "except DatasetError as error: print(error)"
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "image.png")], env=environment, capture_output=True, text=True
    )
    assert "its format is none of those that are read" in done.stdout and not (tmp_path / "started").exists()


# ---------------------------------------------------------------------------------------------------------- FakeData


def test_fake_data_depend_on_the_index_alone() -> None:
    import minicnn

    data = FakeData(20, (3, 6, 5), num_classes=4)
    state = minicnn.get_rng_state()
    first = [data[i] for i in range(20)]
    assert minicnn.get_rng_state() == state
    again = FakeData(20, (3, 6, 5), num_classes=4)
    assert all(again[i][1] == first[i][1] and again[i][0] == first[i][0] for i in reversed(range(20)))
    assert (
        {target for _, target in first} == {0, 1, 2, 3} and first[0][0] != first[1][0] and data[-1][0] == first[19][0]
    )
    assert FakeData(20, (3, 6, 5), num_classes=4, random_offset=7)[1][0] == first[8][0]
    assert {
        mode: FakeData(1, (channels, 4, 4))[0][0].mode for channels, mode in enumerate(("L", "LA", "RGB", "RGBA"), 1)
    }
    for index in (20, -21):
        with pytest.raises(IndexError):
            data[index]
    assert FakeData(3, target_transform=lambda target: target + 100)[0][1] >= 100
    for wrong in ({"size": -1}, {"image_size": (5, 4, 4)}, {"image_size": (3, 4)}, {"num_classes": 0}):
        with pytest.raises(ValueError, match="FakeData"):
            FakeData(**wrong)  # type: ignore[arg-type]
    assert "Number of datapoints: 20" in repr(data)
