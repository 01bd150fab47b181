"""Image files of every kind, prepared as a dataset's images are, and what is no image."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn import cli, visualize
from minicnn.datasets import DatasetError
from minicnn.datasets.image_file import read_image_file
from minicnn.train import Predictor, Run, Training, find_recipe
from minicnn.train.prediction import _cropped, _ground


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = find_recipe("lenet5", "digits", None, {"epochs": 2, "train_size": 400})
    return Training(recipe).run(tmp_path_factory.mktemp("runs") / "net", quiet=True)


def digit(index: int = 0) -> np.ndarray:
    from minicnn import datasets

    return np.asarray(datasets.Digits(train=False)[index][0])


def saved(tmp_path: Path, image: Any, name: str = "a.png", **options: Any) -> Path:
    image.save(tmp_path / name, **options)
    return tmp_path / name


GREY = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB"])
def test_every_mode(mode: str, tmp_path: Path) -> None:
    plain = Image.fromarray(GREY)
    if mode in ("I;16", "I"):
        image = Image.fromarray(GREY.astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    elif mode == "F":
        image = Image.fromarray(GREY.astype(np.float32) / 255)
    elif mode == "LAB":
        image = Image.merge("LAB", [plain, plain, plain])
    else:
        image = plain.convert(mode)
    file = saved(tmp_path, image, "a.png" if mode not in ("CMYK", "YCbCr", "I", "F", "LAB") else "a.tif")
    found = read_image_file(file)
    assert found.image.mode in ("L", "RGB") and found.image.size == (12, 10)
    assert found.notes[0].startswith("12 x 10 ")
    if mode not in ("1", "LAB"):
        np.testing.assert_allclose(np.asarray(found.image.convert("L")).astype(int), GREY, atol=2)


def test_photographs_animations_and_transparency(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    found = read_image_file(saved(tmp_path, Image.fromarray(GREY), "a.jpg", exif=exif))
    assert found.image.size == (10, 12) and "turned upright, as its EXIF entry says" in found.notes
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    found = read_image_file(saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:]))
    assert "the first of 2 frames" in found.notes and np.asarray(found.image.convert("L"))[0, 0] < 5
    for ink, ground in ((0, 255), (255, 0)):
        clear = np.zeros((6, 6, 4), np.uint8)
        clear[2:4, 2:4] = ink, ink, ink, 255
        found = read_image_file(saved(tmp_path, Image.fromarray(clear)))
        pixels = np.asarray(found.image)[..., 0]
        assert pixels[0, 0] == ground and pixels[2, 2] == ink
    large = Image.fromarray(np.linspace(-3, 7, 20, dtype=np.float32).reshape(4, 5))
    found = read_image_file(saved(tmp_path, large, "a.tif"))
    assert np.asarray(found.image).min() == 0 and np.asarray(found.image).max() == 255 and "-3..7" in found.notes[1]


def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def content(ending: str = "png") -> bytes:
    stream = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)).save(stream, ending)
    return stream.getvalue()


HOSTILE = {
    "empty": (b"", "the file is empty"),
    "html": (b"\n <!DOCTYPE html><html>", "a web page"),
    "svg": (b'<?xml version="1.0"?><svg>', "export it as PNG"),
    "pdf": (b"%PDF-1.4", "a PDF"),
    "junk": (bytes(range(256)) * 4, "not an image of a format"),
    "magic alone": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "bomb": (png(12_000, 12_000, b"\0" * 100), "144,000,000|12,000 x 12,000"),
    "huge bomb": (png(2**31 - 1, 2**31 - 1, b"\0"), "too large|more than"),
    "no pixels": (png(30, 30, b""), "damaged or cut short"),
    "cut jpeg": (content("jpeg")[:400], "damaged or cut short"),
    "cut png": (content()[:700], "damaged or cut short"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_image(name: str, tmp_path: Path) -> None:
    data, text = HOSTILE[name]
    file = tmp_path / "mine.png"
    file.write_bytes(data)
    with pytest.raises(DatasetError, match=rf"mine\.png: .*({text})") as caught:
        read_image_file(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(DatasetError, match=r"^standard input: "):
        read_image_file(data, "standard input")


def test_every_cut_and_every_damaged_byte_of_a_header() -> None:
    """An image or a DatasetError, and nothing else."""
    for kind in ("png", "jpeg", "gif", "bmp", "tiff", "webp"):
        whole = content(kind)
        for end in range(0, min(len(whole), 120)):
            for data in (whole[:end], whole[:end] + bytes([whole[end] ^ 0x55]) + whole[end + 1 :]):
                try:
                    assert read_image_file(data).image.mode in ("L", "RGB")
                except DatasetError as error:
                    assert str(error).startswith("the image: ") or "NaN" in str(error)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_image_file(tmp_path / "none.png")
    with pytest.raises(DatasetError, match="a folder"):
        read_image_file(tmp_path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_image_file("a\0b")


def test_the_net_gets_what_it_gets_in_the_test(run: Run, tmp_path: Path) -> None:
    """A file of the dataset's own image gives the same input and the same scores."""
    predictor, data = Predictor(run), run.test_set()
    for index in range(5):
        found = predictor(saved(tmp_path, Image.fromarray(digit(index))))
        np.testing.assert_array_equal(found.seen, data[index][0].numpy())
        scores = predictor.model(data[index][0].unsqueeze(0)).softmax(1)[0]
        assert found.classes[0] == str(int(scores.argmax())) and sorted(found.classes) == sorted(data.classes)
        np.testing.assert_allclose(found.probabilities, np.sort(scores.detach().numpy())[::-1], rtol=1e-5)
        assert sum(found.probabilities) == pytest.approx(1, abs=1e-5) and not found.warning
        dark = Image.fromarray(255 - digit(index)).convert("RGBA").resize((80, 80), 0)
        inverted = Predictor(run, invert=True)(saved(tmp_path, dark))
        assert np.abs(inverted.seen - found.seen).max() < 0.2 and "light and dark exchanged" in inverted.notes
        assert "dark on light" in predictor(saved(tmp_path, dark)).warning


def test_proportions_and_cropping() -> None:
    page = Image.new("L", (60, 40), 10)
    page.paste(200, (30, 5, 34, 25))  # 4 x 20
    notes: list[str] = []
    found = np.asarray(_cropped(page, _ground(page), 1 / 7, notes))
    assert found.shape == (28, 28) and (found == 200).sum() == 80 and (found[4:24, 12:16] == 200).all()
    assert notes == ["cropped to 4 x 20, in a square of 28 x 28"]
    plain = Image.new("RGB", (5, 5), "red")
    assert _cropped(plain, _ground(plain), 0, notes) is plain and "one colour" in notes[-1]


def test_names_that_no_console_and_no_figure_should_obey(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    names = ["$\\bad{$.png", "数字.png", "new\nline\x1b[2J.png"]
    if sys.platform == "linux":
        names.append("no text \udcff.png")
    files = [str(saved(tmp_path, Image.fromarray(digit()), name)) for name in names]
    picture = tmp_path / "p.png"
    assert cli.main(["predict", str(run.folder), *files, "--out", str(picture)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2 * len(files) + 1 and "new\\nline\\x1b[2J.png: " in out
    assert picture.stat().st_size > 5000 and not [one for one in recwarn if "Glyph" in str(one.message)]


def test_the_command(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    good = saved(folder, Image.fromarray(digit()), "b.png")
    saved(folder / "more", Image.fromarray(255 - digit(1)).resize((99, 50)), "a.JPG")
    (folder / "bad.png").write_bytes(b"<html>")
    (folder / "notes.txt").write_text("no image")
    net, picture = str(run.folder), tmp_path / "p.png"
    assert cli.main(["predict", net, str(folder), "--out", str(picture), "--top", "2"]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines[::2]] == [str(good), str(folder / "more" / "a.JPG"), str(picture)]
    assert lines[0].count("%") == 2 and "99 x 50 JPEG, L; to 8 x 8, grey" in lines[3] and picture.stat().st_size > 5000
    assert "bad.png: a web page" in err and "an image shows dark on light" in err and err.count("\n") == 2

    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": BytesIO(good.read_bytes())}))
    assert cli.main(["predict", net, "-", str(good), "--json", "--crop"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["file"] == "standard input" and first["classes"] == second["classes"] and len(first["classes"]) == 3
    assert cli.main(["predict", net, str(good), "--show"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 32
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli.main(["predict", net, str(empty), str(tmp_path / "none.png"), "--json"]) == 1
    assert all("error" in json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert cli.main(["predict", net, str(good), "--out", "a.xyz"]) == 2
    assert cli.main(["predict", str(empty), str(good)]) == 1
    with pytest.raises(ValueError, match="1 to 20 images"):
        visualize.predicted({})
