from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import made_datasets as made
import numpy as np
import pytest
from PIL import Image

from minicnn import cli, datasets
from minicnn.datasets import MNIST, DatasetError, checking, folder_classes, open_dataset
from minicnn.datasets.download import Checksum
from minicnn.datasets.image_file import read_image_file
from minicnn.datasets.registry import TABLE
from minicnn.train import Training, find_recipe
from minicnn.transforms import ToTensor


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.everything(tmp_path_factory.mktemp("data"))


def pictures(root: Path, *names: str, count: int = 5) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(made.pixels(6, 7, 3, seed=number)).save(root / name / f"{number}.png")
    return root


@pytest.mark.parametrize("name", TABLE)
def test_what_the_table_says(root: Path, name: str) -> None:
    """The small files have no other images of a dataset than the real ones, in number only."""
    entry = TABLE[name]
    if name.startswith("emnist") and name not in ("emnist-letters", "emnist-balanced"):
        pytest.skip("no small files")
    train, test = (open_dataset(name, train, ToTensor(), root) for train in (True, False))
    image, target = train[0]
    assert image.shape == (entry.channels, entry.side, entry.side) and 0 <= target < entry.classes
    assert len(train.classes) == entry.classes == len(test.classes) and train.data is not test.data
    assert checking.found_in(root, entry) and (name == "digits" or not checking.found_in(root / "nowhere", entry))


def test_a_folder_with_two_parts(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a", "train/b", "val/a", "val/b")
    assert len(open_dataset(f"folder:{tmp_path}", True)) == len(open_dataset(f"folder:{tmp_path}", False)) == 10
    assert folder_classes(tmp_path) == ["a", "b"]
    (tmp_path / "val" / "c").mkdir()
    with pytest.raises(DatasetError, match=r"different classes: c is in one of them only"):
        open_dataset(f"folder:{tmp_path}", True)


def test_a_folder_is_split_in_each_class(tmp_path: Path) -> None:
    pictures(tmp_path, "a", "b", count=11)
    train, test = (open_dataset(f"folder:{tmp_path}", train) for train in (True, False))
    assert (len(train), len(test)) == (18, 4) and not set(train.indices) & set(test.indices)
    assert [test[i][1] for i in range(4)] == [0, 0, 1, 1]
    for wrong, message in ((tmp_path / "nowhere", "cannot be read"), (tmp_path / "a", "no folders")):
        with pytest.raises(DatasetError, match=message):
            open_dataset(f"folder:{wrong}", True)
    with pytest.raises(DatasetError, match="too few images"):
        open_dataset(f"folder:{pictures(tmp_path / 'few', 'a', 'b', count=4)}", False)
    with pytest.raises(DatasetError, match=r"it has one folder only, solo, .* give .*one.solo"):
        folder_classes(pictures(tmp_path / "one", "solo"))


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "Testing"), ("train", "VALID")])
def test_folders_of_parts(tmp_path: Path, names: tuple[str, str]) -> None:
    for part, count in zip(names, (4, 3), strict=True):
        pictures(tmp_path / part, "a", "b", count=count)
    assert folder_classes(tmp_path) == ["a", "b"]
    assert [len(open_dataset(f"folder:{tmp_path}", train)) for train in (True, False)] == [8, 6]


def test_a_folder_for_training_only(tmp_path: Path) -> None:
    pictures(tmp_path / "train", "a", "b", count=5)
    assert folder_classes(tmp_path) == ["a", "b"]  # and not ["train"]
    assert [len(open_dataset(f"folder:{tmp_path}", train)) for train in (True, False)] == [8, 2]
    pictures(tmp_path, "plane", count=5)
    assert folder_classes(tmp_path) == ["plane", "train"]  # two classes


def test_validation_images_of_a_folder(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 3), ("test", 2)):
        pictures(tmp_path / part, "a", "b", count=count)
    training = Training(replace(find_recipe("lenet5", f"folder:{tmp_path}"), epochs=1))
    assert [len(one) for one in (training.train_set, training.val_set, training.test_set)] == [8, 6, 4]
    assert training.val_set.root == tmp_path / "val"


def test_what_other_programs_leave_in_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path, "a", "b", count=5)
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "._0.png").write_bytes(b"no image")
    assert folder_classes(tmp_path) == ["a", "b"] and len(open_dataset(f"folder:{tmp_path}", True)) == 8
    assert cli.main(["data", "check", str(tmp_path)]) == 0 and "10 images of 2 classes" in capsys.readouterr().out


def test_images_are_read_as_in_predict(tmp_path: Path) -> None:
    """16 bits, transparency, orientation: a net is trained on what it gets to see later."""
    pictures(tmp_path, "b", count=5)
    files = [tmp_path / "a" / f"{name}.png" for name in ("1", "2", "3")]
    files[0].parent.mkdir()
    Image.fromarray(np.arange(0, 48_000, 1000, dtype=np.uint16).reshape(6, 8)).save(files[0])
    Image.new("RGBA", (8, 6), (10, 20, 30, 0)).save(files[1])
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(made.pixels(6, 8, 3)).save(files[2], exif=turned)
    images = open_dataset(f"folder:{tmp_path}", True)
    for index, file in enumerate(files):
        seen, wanted = images[index][0], read_image_file(file).image.convert("RGB")
        assert seen.size == wanted.size and seen.tobytes() == wanted.tobytes()
    assert images[0][0].getextrema()[0] == (0, 183) and images[2][0].size == (6, 8)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_train_on_a_folder_and_look_at_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Images of different sizes; their mistakes are drawn, too."""
    for part, side in (("train", 9), ("test", 12)):
        for name, grey in (("dark", 10), ("bright", 10)):  # alike, so that there are mistakes
            (tmp_path / "in" / part / name).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (side + i, side), (grey, i, 0)).save(tmp_path / "in" / part / name / f"{i}.png")
    run = tmp_path / "run"
    code = cli.main(
        ["train", "lenet5", "--dataset", f"folder:{tmp_path / 'in'}", "--epochs", "1", "--out", str(run), "--quiet"]
    )
    assert code == 0, capsys.readouterr().err
    assert (run / "errors.png").stat().st_size
    assert cli.main(["eval", str(run)]) == 0
    assert cli.main(["predict", str(run), str(tmp_path / "in" / "test" / "dark" / "0.png")]) == 0


# ----------------------------------------------------------------------------------------------------- minicnn data


def test_list(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "list", "--data", str(root)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert set(TABLE) <= set(lines) and lines["fashionmnist"].endswith("31 MB     yes")
    assert lines["digits"].endswith("bundled")


def test_get(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    assert cli.main(["data", "get", "digits"]) == 0 and cli.main(["data", "get", "mnist"]) == 2
    assert "pass --data DIR" in capsys.readouterr().err
    assert cli.main(["data", "get", "fashoinmnist"]) == 2 and "'fashionmnist'?" in capsys.readouterr().err
    asked = []
    monkeypatch.setattr(
        datasets.downloaded, "fetch", lambda urls, target, wanted: (asked.append(target.name), made.write(
            tmp_path, {name: body for name, body in made.usps().items() if name == target.name}
        ))
    )  # fmt: skip
    assert cli.main(["data", "get", "USPS", "--data", str(tmp_path)]) == 0 and asked == ["usps.bz2", "usps.t.bz2"]
    assert f"usps: 12 training images in {tmp_path}" in capsys.readouterr().out


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    files = made.mnist()
    made.write(tmp_path, files)
    sums = [
        one._replace(checksum=Checksum(len(body), hashlib.sha256(body).hexdigest(), packed=False))
        for one, body in zip(MNIST.sources, files.values(), strict=True)
    ]
    monkeypatch.setattr(MNIST, "sources", sums)
    assert cli.main(["data", "check", str(tmp_path), "--dataset", "mnist"]) == 0
    out = capsys.readouterr().out
    assert out.count("MNIST; its SHA-256 is right") == 4 and "??   mnist: 12 training and 5 test images; the or" in out
    path = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\3")
    assert cli.main(["data", "check", str(tmp_path), "--dataset", "mnist"]) == 1
    assert f"BAD  {path}: not the original of MNIST: wrong content: SHA-256" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:9])
    assert cli.main(["data", "check", str(tmp_path), "--dataset", "mnist"]) == 1
    assert "BAD  mnist: " in capsys.readouterr().out
    assert cli.main(["data", "check", str(tmp_path / "nowhere")]) == 1
    assert "there is no such folder" in capsys.readouterr().err


def test_check_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "check", str(tmp_path)]) == 1 and "no images" in capsys.readouterr().out
    pictures(tmp_path, "cat", "dog")
    assert cli.main(["data", "check", str(tmp_path)]) == 0
    assert f"ok   folder:{tmp_path}: 10 images of 2 classes (cat, dog), 0 of them unreadable" in capsys.readouterr().out
    (tmp_path / "cat" / "9.jpg").write_bytes(b"<html>")
    assert cli.main(["data", "check", str(tmp_path)]) == 1
    assert f"BAD  {tmp_path / 'cat' / '9.jpg'}: a web page, not an image" in capsys.readouterr().out
