from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn, visualize
from minicnn.bench.compare import PASSES, Comparison, Measurement
from minicnn.train import Epoch, confusion_matrix
from minicnn_kernels import geometry


def history(count: int = 4) -> list[Epoch]:
    rows = [Epoch(i, 2.0 / i, 0.5 + 0.1 * i, 1.0 / i, 0.6 + 0.05 * i, 1.0, 1437.0) for i in range(1, count + 1)]
    return [rows[0], *rows[1:-1], rows[-1]._replace(val_top1=0.1)] if count > 2 else rows


def texts(figure: Any) -> list[str]:
    """All visible texts in the figure."""
    from matplotlib.text import Text

    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [artist.get_text().replace("\N{NO-BREAK SPACE}", " ") for artist in found if artist.get_text()]


def drawn_images(figure: Any) -> list[np.ndarray]:
    """The arrays that are drawn as images, without colour bars."""
    return [np.asarray(image.get_array()) for axes in figure.axes if axes.get_visible() for image in axes.get_images()]


def assert_png(path: Path, least: tuple[int, int] = (300, 200)) -> None:
    """Check that the file opens, is large enough to read, and is not blank."""
    from PIL import Image

    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width >= least[0] and image.height >= least[1]
        grey = np.asarray(image.convert("L"), float)
    assert grey.max() == 255 and grey.min() < 100 and grey.std() > 5


def net() -> nn.Module:
    minicnn.manual_seed(0)
    return models.LeNet5()


def comparison(passes: tuple[str, ...] = PASSES) -> Comparison:
    """A comparison with invented numbers; the last algorithm was not measured."""
    rates = {
        ("im2col", "numpy"): 1.25,
        ("im2col", "numba"): 173.0,
        ("direct", "python"): 0.0012,
        ("fft", "numba"): None,
    }
    rows = [
        Measurement(which, *row, row[1] == "numba", rate and 1 / rate, rate, 0, None, 1e-6, "")
        for which in passes
        for row, rate in rates.items()
    ]
    return Comparison(rows, geometry.conv2d((32, 64, 56, 56), (64, 64, 3, 3), padding=1), "float32", True, 2)


EIGHT_WRONG = np.tile(np.eye(8), (9, 1, 1)), np.arange(9), np.zeros(9, int), np.ones(9)

DRAW: dict[str, Callable[..., Any]] = {
    "curves": lambda **out: visualize.curves(history(), **out),
    "curves of one epoch": lambda **out: visualize.curves(history(1), **out),
    "confusion": lambda **out: visualize.confusion(np.diag(range(1, 11)) + 1, **out),
    "errors": lambda **out: visualize.errors(*EIGHT_WRONG, **out),
    "filters": lambda **out: visualize.filters(net().features[0].weight, **out),
    "overview": lambda **out: visualize.overview(net(), np.eye(32, dtype=np.float32)[None], **out),
    "algorithms": lambda **out: visualize.algorithms(comparison(), **out),
    "diagram": lambda **out: visualize.diagram("lenet5", names=True, **out),
    "costs": lambda **out: visualize.costs("lenet5", **out),
    "accuracy": lambda **out: visualize.accuracy(measured={"resnet18": 69.0}, models=visualize.IMAGENET, **out),
    "accuracy against parameters": lambda **out: visualize.accuracy("params", **out),
    "ilsvrc": lambda **out: visualize.ilsvrc(**out),
    "field": lambda **out: visualize.field("lenet5", empirical=True, **out),
    "algorithms of one pass": lambda **out: visualize.algorithms(comparison(("forward",)), **out),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAW)
def test_pngs_are_not_blank(name: str, tmp_path: Path) -> None:
    DRAW[name](out=tmp_path / "new folder" / "figure.png")
    assert_png(tmp_path / "new folder" / "figure.png")


@pytest.mark.parametrize("name", DRAW)
def test_nothing_global(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pyplot, so no window and no figure that stays in memory; the settings do not change."""
    import matplotlib

    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)  # another test may have imported it
    before = dict(matplotlib.rcParams)
    DRAW[name]()
    assert "matplotlib.pyplot" not in sys.modules
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", DRAW)
def test_no_text_overlaps_or_leaves_the_figure(name: str) -> None:
    from matplotlib.text import Text

    figure = DRAW[name]()
    figure.draw_without_rendering()
    not_drawn = {id(label) for axes in figure.axes for label in _ticks_beyond_the_limits(axes)}
    boxes = [
        (artist.get_text(), artist.get_window_extent())
        for artist in figure.findobj(lambda a: isinstance(a, Text) and a.get_visible())
        if artist.get_text().strip() and id(artist) not in not_drawn and (not artist.axes or artist.axes.get_visible())
    ]
    assert len(boxes) > 3
    for i, (text, box) in enumerate(boxes):
        assert box.x0 >= -1 and box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1 and box.y1 <= figure.bbox.height + 1, text
        for other, place in boxes[:i]:
            assert not _overlap(box, place), (text, other)


def _overlap(a: Any, b: Any) -> bool:
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1


def _ticks_beyond_the_limits(axes: Any) -> list[Any]:
    """Labels that Matplotlib keeps but does not draw."""
    found = []
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = sorted(limits)
        for tick in [*axis.majorTicks, *axis.minorTicks]:
            if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                found += [tick.label1, tick.label2]
    return found


def test_curves_show_the_numbers() -> None:
    figure = visualize.curves(history())
    loss, accuracy = figure.axes
    assert loss.lines[0].get_ydata() == pytest.approx([2, 1, 2 / 3, 0.5])
    assert loss.lines[1].get_ydata() == pytest.approx([1, 0.5, 1 / 3, 0.25])
    assert accuracy.lines[0].get_ydata() == pytest.approx([60, 70, 80, 90])
    assert accuracy.lines[1].get_ydata() == pytest.approx([65, 70, 75, 10])
    assert [list(axes.lines[2].get_xdata()) for axes in figure.axes] == [[3], [3]]  # the best epoch, not the last
    assert {"best 75.00 %, epoch 3", "train", "validation", "Loss", "Top-1 accuracy (%)", "epoch"} <= set(texts(figure))


def test_curves_of_the_test_set_mark_the_last_epoch() -> None:
    """Nothing is chosen by the test set, so its highest value is no result."""
    figure = visualize.curves(history(), judged="test")
    assert [list(axes.lines[2].get_xdata()) for axes in figure.axes] == [[4], [4]]
    assert "last 10.00 %, epoch 4" in texts(figure)


def test_losses_show_the_numbers() -> None:
    (axes,) = visualize.losses([2, 1], [2, 1.5]).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[2, 1], [2, 1.5]]
    assert {"training", "validation", "epoch"} <= set(texts(axes.figure))
    for wrong in (([], []), ([1], [1, 2])):
        with pytest.raises(ValueError, match="losses: needs equally many epochs of both"):
            visualize.losses(*wrong)


def test_confusion_shows_counts_and_row_shares() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 2]), 4)
    figure = visualize.confusion(matrix, ["ant", "bee", "cat", "dog"])
    assert drawn_images(figure)[0].tolist() == [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    said = texts(figure)
    assert "4 of 5 correct (80.00 %)" in said
    assert said.count("1") == 3 and said.count("2") == 1  # the counts; zeros are left out
    assert {"ant", "dog", "true", "predicted"} <= set(said)


@pytest.mark.parametrize(
    ("matrix", "classes"),
    [(np.ones((2, 3)), None), (np.ones(4), None), (np.zeros((0, 0)), None), (-np.eye(2), None), (np.eye(2), ["one"])],
)
def test_confusion_refuses(matrix: np.ndarray, classes: list[str] | None) -> None:
    with pytest.raises(ValueError, match="confusion"):
        visualize.confusion(matrix, classes)


def test_errors_are_the_surest_first() -> None:
    images = np.stack([np.full((4, 4), i, float) for i in range(6)])
    targets, predictions = np.array([0, 1, 2, 3, 4, 5]), np.array([0, 9, 2, 8, 7, 6])
    sure = np.array([0.99, 0.5, 0.99, 0.98, 0.7, 0.6])
    figure = visualize.errors(images, targets, predictions, sure, n=3)
    assert [int(image[0, 0]) for image in drawn_images(figure)] == [3, 4, 5]
    assert [text for text in texts(figure) if text.startswith("true")] == [
        "true 3, said 8 (98 %)",
        "true 4, said 7 (70 %)",
        "true 5, said 6 (60 %)",
    ]
    assert "The 3 surest of 4 mistakes among 6 images (66.67 %)" in texts(figure)
    assert "All 4 mistakes among 6 images (66.67 %), surest first" in texts(
        visualize.errors(images, targets, predictions, sure)
    )


def test_errors_take_all_probabilities_and_names() -> None:
    probabilities = np.array([[0.1, 0.9], [0.8, 0.2]])
    figure = visualize.errors(
        np.zeros((2, 3, 4, 4)), np.array([0, 0]), np.array([1, 0]), probabilities, classes=["airplane", "automobile"]
    )
    assert "The only mistake among 2 images (50.00 %)" in texts(figure)
    assert "true airplane\nsaid automobile (90 %)" in texts(figure)  # in two lines, as it is wider than the image
    assert drawn_images(figure)[0].shape == (4, 4, 3)


def test_no_errors(tmp_path: Path) -> None:
    figure = visualize.errors(np.zeros((5, 4, 4)), np.arange(5), np.arange(5), np.ones(5), out=tmp_path / "none.png")
    assert "No mistakes among 5 images" in texts(figure)
    assert_png(tmp_path / "none.png")


def test_errors_refuse() -> None:
    with pytest.raises(ValueError, match="lengths 2, 3, 2, 2"):
        visualize.errors(np.zeros((2, 4, 4)), np.zeros(3, int), np.zeros(2, int), np.zeros(2))
    with pytest.raises(ValueError, match="n=0"):
        visualize.errors(np.zeros((2, 4, 4)), np.zeros(2, int), np.zeros(2, int), np.zeros(2), n=0)


def test_filters_share_one_symmetric_scale() -> None:
    weight = np.zeros((3, 1, 2, 2))
    weight[0, 0, 0, 0], weight[2, 0, 1, 1] = 0.5, -2.0
    figure = visualize.filters(weight)
    images = [image for axes in figure.axes for image in axes.get_images()]
    assert [image.get_clim() for image in images] == [(-2, 2)] * 3
    assert np.array_equal([image.get_array() for image in images], weight[:, 0])
    assert {"0", "2", "\N{MINUS SIGN}2"} <= set(texts(figure))


def test_filters_of_more_channels() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 4, 3, 2))
    assert np.allclose(drawn_images(visualize.filters(weight)), weight.mean(axis=1))
    assert np.allclose(drawn_images(visualize.filters(weight, reduce="none")), weight.reshape(20, 3, 2))
    colour = np.random.default_rng(0).normal(size=(5, 3, 3, 2))
    shown = drawn_images(visualize.filters(colour))
    assert np.allclose(shown, (colour / np.abs(colour).max() / 2 + 0.5).transpose(0, 2, 3, 1))
    assert drawn_images(visualize.filters(np.zeros((1, 1, 3, 3))))[0].any() == 0  # nothing to divide by


@pytest.mark.parametrize("weight", [np.zeros((2, 3)), np.zeros((0, 1, 3, 3))])
def test_filters_refuse(weight: np.ndarray) -> None:
    with pytest.raises(ValueError, match="filters: expected a weight"):
        visualize.filters(weight)
    with pytest.raises(ValueError, match="reduce must be"):
        visualize.filters(np.zeros((2, 1, 3, 3)), reduce="max")


def test_overview_shows_what_the_net_computes() -> None:
    model = net()
    image = np.random.default_rng(0).random((1, 32, 32)).astype(np.float32)
    figure = visualize.overview(model, image, target=3)
    assert model.training and minicnn.is_grad_enabled()
    shown = drawn_images(figure)
    assert [image.shape for image in shown] == [(32, 32)] + [(5, 5)] * 6 + [(28, 28)] * 6 + [(14, 14)] * 6 + [
        (10, 10)
    ] * 16
    x = minicnn.tensor(image[None])
    maps = model.features[1](model.features[0](x))
    assert np.allclose(shown[0], image[0])
    assert np.allclose(shown[1:7], model.features[0].weight.array[:, 0])
    assert np.allclose(shown[7:13], maps.array[0])
    assert np.allclose(shown[13:19], model.features[2](maps).array[0])
    assert np.allclose(shown[19:], model.features[4](model.features[3](model.features[2](maps))).array[0])
    scores = model(x).array[0]
    probabilities = np.exp(scores) / np.exp(scores).sum()
    assert [bar.get_width() for bar in figure.axes[-1].patches[10:]] == pytest.approx(probabilities, rel=1e-5)
    best = int(scores.argmax())
    assert {f"{best}: {100 * probabilities[best]:.1f} %", "true class: 3"} <= set(texts(figure))


def test_overview_size_and_refusals(tmp_path: Path) -> None:
    from PIL import Image

    visualize.overview(net(), np.eye(32, dtype=np.float32)[None], out=tmp_path / "o.png")
    with Image.open(tmp_path / "o.png") as image:
        assert image.size == (1600, 600)
    with pytest.raises(ValueError, match="two convolutions"):
        visualize.overview(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)), np.zeros((1, 4, 4), np.float32)
        )
    with pytest.raises(ValueError, match="one image"):
        visualize.overview(net(), np.zeros((2, 1, 32, 32), np.float32))


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'.*figure\.doc'; its name must end in one of: .*\.png"):
        visualize.curves(history(), out=tmp_path / "figure.doc")
    visualize.curves(history(), out=tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()
    with pytest.raises(ValueError, match="no finished epoch"):
        visualize.curves([])


def test_draw_needs_known_figures(tmp_path: Path) -> None:
    from minicnn.visualize.run import FIGURES

    assert set(FIGURES) == {"curves", "confusion", "errors", "filters", "overview"}
    with pytest.raises(ValueError, match="there is no figure 'mona lisa'; there are: curves"):
        visualize.draw(None, ["mona lisa"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="out names one file"):
        visualize.draw(None, ["curves", "filters"], out=tmp_path / "a.png")  # type: ignore[arg-type]


def test_algorithms_shows_what_was_measured_and_what_auto_takes() -> None:
    figure = visualize.algorithms(comparison())
    for axes in figure.axes:
        assert [bar.get_width() for bar in axes.patches] == [1.25, 173.0, 0.0012]
        assert [bar.get_facecolor() != axes.patches[0].get_facecolor() for bar in axes.patches] == [False, True, False]
    assert {"1.2", "173", "0.001", "im2col, numba", "Gradient of x"} <= set(texts(figure))
    assert "2 threads; in colour: the choice of auto" in texts(figure)
    alone = visualize.algorithms(comparison(("forward",))._replace(threads=1))
    assert "1 thread; in colour: the choice of auto" in texts(alone)
    assert "padding\N{NO-BREAK SPACE}1; float32" in alone.get_suptitle().replace("\n", " ")  # never "padding\n1"
    assert "fft, numba" not in texts(figure)
    with pytest.raises(ValueError, match="nothing in this comparison was measured"):
        visualize.algorithms(comparison()._replace(rows=[]))


def test_confusion_of_many_classes_is_of_a_size_to_look_at() -> None:
    counts = np.diag(range(1, 101)) + 1
    figure = visualize.confusion(counts, [f"class {i}" for i in range(100)])
    figure.canvas.draw()
    width, height = figure.get_size_inches()
    assert width < 20 and height < 20
    names = texts(figure)
    assert "class 99" in names and "class 41" in names  # every class has its name at the left
    assert not {"101", "2"} & set(names)  # and no counts
    few = visualize.confusion(counts[:30, :30], [f"c{i}" for i in range(30)])
    assert not {"31", "2"} & set(texts(few)) and "c29" in texts(few)


@pytest.mark.parametrize("classes", [10, 100])
def test_errors_show_colours(classes: int, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    targets, scores = np.arange(30) % classes, rng.random((30, classes))
    figure = visualize.errors(images, targets, (targets + 1) % classes, scores, 5)
    drawn = drawn_images(figure)
    assert len(drawn) == 5 and all(any(np.array_equal(one, image) for image in images) for one in drawn)


def test_a_run_of_a_net_without_convolutions_has_no_filters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from minicnn.visualize import run as run_file

    plain, drawn = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), []
    for name in ("curves", "confusion", "errors"):
        monkeypatch.setattr(run_file._Answers, name, lambda self, name=name: drawn.append(name))
    monkeypatch.setattr(run_file._Answers, "model", plain)
    monkeypatch.setattr(run_file, "write", lambda *rest, **options: None)
    run: Any = type("Run", (), {"folder": tmp_path, "explaining": nullcontext, "backend": lambda self: "auto"})()
    assert [file.name for file in run_file.draw(run)] == ["curves.png", "confusion.png", "errors.png"]
    assert drawn == ["curves", "confusion", "errors"]


def test_which_nets_have_an_overview() -> None:
    from minicnn.visualize.net import has_overview

    assert has_overview(net())
    convolutions = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.MaxPool2d(2))
    assert not has_overview(convolutions) and not has_overview(nn.Linear(2, 2))
