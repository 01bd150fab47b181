"""`minicnn plot` for views of the net of a run: every figure of two small runs, options, and errors of one line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import cli
from minicnn.cli import plot
from minicnn.train import Run, build_model
from minicnn.visualize.views import VIEWS


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on the digits: LeNet-5 after an epoch, and untrained a residual net and one without convolutions."""
    folder = tmp_path_factory.mktemp("views")
    assert cli.main(["train", "--epochs", "1", "--quiet", "-o", str(folder / "LeNet5")]) == 0
    for name, options in (("resnet20", {"in_channels": 1}), ("MLP", {"hidden_sizes": [12], "in_features": 32 * 32})):
        run = Run.open(shutil.copytree(folder / "LeNet5", folder / name))
        minicnn.manual_seed(0)
        run.config["model"] = {"name": name, "options": {"num_classes": 10, **options}, "parameters": 1}
        crop = [{"RandomCrop": {"size": 32, "padding": 6}}] if name != "MLP" else []
        run.config["recipe"] = {**run.config["recipe"], "augmentation": crop}
        run.save(build_model(name, run.config["model"]["options"]), run.history())
    return folder


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    capsys.readouterr()
    assert cli.main(["plot", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("minicnn: error: ") and err.count("\n") == 1, err
    return err


def test_the_command_knows_every_view_and_its_options() -> None:
    assert {name: set(options) for name, options in plot.VIEWS.items()} == {
        name: set(view.options) for name, view in VIEWS.items()
    }
    assert not set(VIEWS) & {*plot.PLOTS, *plot.NETS, *plot.CHARTS}


SMALL = {"patches": "40", "embedding": "40", "tiles": "40", "neighbours": "30", "probes": "60", "dropped": "20"}


@pytest.mark.parametrize("figure", VIEWS)
def test_views(figure: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    out = tmp_path / "figures" / f"{figure}.png"
    count = ["--count", SMALL.get(figure, "2")] if "count" in VIEWS[figure].options else []
    count += ["--channel", "0"] if figure == "excited" else []
    assert cli.main(["plot", figure, str(runs / "resnet20"), "-o", str(out), *count]) == 0
    assert capsys.readouterr().out.endswith(f"{out}\n")
    with Image.open(out) as image:
        assert np.asarray(image.convert("L"), float).std() > 5


def test_options_change_what_is_seen(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(figure: str, *options: str) -> bytes:
        out = tmp_path / "figure.png"
        assert cli.main(["plot", figure, str(runs / "LeNet5"), "-o", str(out), *options]) == 0
        return out.read_bytes()

    maps = drawn("maps", "--layer", "features.2")
    assert maps == drawn("maps", "--layer", "features.2") != drawn("maps", "--layer", "features.1")
    assert maps != drawn("maps", "--layer", "features.2", "--image", "7")
    patches = drawn("patches", "--layer", "classifier.5", "--channel", "3", "--count", "30")
    assert patches != drawn("patches", "--layer", "classifier.5", "--channel", "4", "--count", "30")
    assert drawn("grad-cam", "--image", "3") != drawn("grad_cam", "--image", "4")
    for ending in ("svg", "pdf"):
        out = tmp_path / f"flow.{ending}"
        assert cli.main(["plot", "flow", str(runs / "LeNet5"), "--out", str(out), "--count", "8"]) == 0
        assert out.stat().st_size > 1000


def test_images_before_and_after_their_transforms(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views, seen = sys.modules["minicnn.visualize.views"], []
    for name in ("augmentations", "number_grid"):
        real = getattr(views, name)
        monkeypatch.setattr(views, name, lambda *a, real=real: (seen.append(a), real(*a))[1])
    for figure in ("augmentations", "number_grid"):
        assert cli.main(["plot", figure, str(runs / "resnet20"), "--image", "5", "-o", str(tmp_path / "a.png")]) == 0
    ((image,), transform), (same,) = seen
    assert np.array_equal(image, same) and image.size == (8, 8)  # of the digits, before they are resized to 32 x 32
    steps = [type(step).__name__ for step in transform.transforms]
    assert steps == ["ToTensor", "Resize", "RandomCrop"] and transform(image).shape == (1, 32, 32)


def test_a_net_without_convolutions(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(runs / "MLP")
    for figure in ("patches", "excited", "changed"):
        assert f"{figure}: MLP has no convolution" in fails(capsys, 2, figure, run)
    assert "maps: MLP gives no maps" in fails(capsys, 2, "maps", run)
    assert "the net has no Conv2d" in fails(capsys, 2, "grad_cam", run)
    assert "dropped: MLP has no residual blocks" in fails(capsys, 2, "dropped", run)
    for figure in ("activations", "embedding", "attribution"):
        out = tmp_path / f"{figure}.png"
        assert cli.main(["plot", figure, run, "-o", str(out), "--count", "40" if figure == "embedding" else "2"]) == 0


def test_errors(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(runs / "LeNet5")
    assert "patches: the net has no layer 'features.9' (str); similar names are features.5" in fails(
        capsys, 2, "patches", run, "--layer", "features.9"
    )
    assert "there is no channel 6; features.0 has" in fails(capsys, 2, "patches", run, "--layer", "features.0",
                                                            "--channel", "6", "--count", "2")  # fmt: skip
    assert "occlusion: image 360 does not exist; the test set has the images 0 to 359" in fails(
        capsys, 2, "occlusion", run, "--image", "360"
    )
    without = fails(capsys, 2, "augmentations", str(runs / "MLP"))
    assert "augmentations: MLP was trained without augmentation" in without
    assert "number_grid: image 400 does not exist" in fails(capsys, 2, "number-grid", run, "--image", "400")
    assert "the net has no ReLU" in fails(capsys, 2, "guided_backprop", run)
    assert "--channel is for patches, excited; it has no meaning for maps" in fails(
        capsys, 2, "maps", run, "--channel", "1"
    )
    assert "--image is for overview; it has no meaning for flow; views of a run take it, too: maps" in fails(
        capsys, 2, "flow", run, "--image", "1"
    )
    assert "--depth is for net, costs; it has no meaning for maps" in fails(capsys, 2, "maps", run, "--depth", "1")
    assert "plot maps needs the folder of a run, one; got 0" in fails(capsys, 2, "maps")
    assert "is not a run" in fails(capsys, 1, "maps", run + "-nothing")
    assert "the bundled digits, which take no --data" in fails(capsys, 2, "maps", run, "--data", "somewhere")
    assert "'x' is no convolution of LeNet5; there are: features.0, features.3" in fails(
        capsys, 2, "changed", run, "--layer", "x"
    )
    assert "--count: 0 is not above 0" in fails(capsys, 2, "probes", run, "--count", "0")
    assert "tsne: one image has no neighbours" in fails(capsys, 2, "embedding", run, "--count", "1")
    assert "nearest: the dataset has no other image" in fails(capsys, 2, "neighbours", run, "--count", "1")


def test_a_net_that_does_not_fit_its_images(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(runs / "LeNet5", tmp_path / "run"))
    config = (run / "config.json").read_text(encoding="utf-8")
    assert "32" in config
    run.joinpath("config.json").write_text(config.replace("32,", "20,").replace("32\n", "20\n"), encoding="utf-8")
    for figure in ("maps", "flow", "probes", "saliency"):
        assert "do not fit, or the weights are wrong" in fails(
            capsys, 1, figure, str(run), "-o", str(tmp_path / "a.png")
        )


def test_what_the_pictures_are_drawn_from(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The untrained net of the run's seed; an image is no neighbour of itself; probes are tested on other images."""
    views = sys.modules["minicnn.visualize.views"]
    seen: dict[str, Any] = {}

    def watch(place: Any, name: str) -> None:
        real = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *a, **k: (seen.update({name: (a, k)}), real(*a, **k))[1])

    for place, name in ((views, "neighbours"), (views.units, "changed"), (views.explain, "linear_probes")):
        watch(place, name)
    for figure in ("changed", "neighbours", "probes"):
        options = [] if figure == "changed" else ["--count", "60"]
        assert cli.main(["plot", figure, str(runs / "LeNet5"), "-o", str(tmp_path / "a.png"), *options]) == 0
    run = Run.open(runs / "LeNet5")
    minicnn.manual_seed(run.config["training"]["seed"])
    untrained = build_model("LeNet5", run.config["model"]["options"])
    (before, after), _ = seen["changed"]
    assert minicnn.equal(before, untrained.features[0].weight)
    assert minicnn.equal(after, run.model()[0].features[0].weight)
    found = seen["neighbours"][0][2]
    assert found.indices.shape == (6, 8) and not (found.indices == np.arange(6)[:, None]).any()
    (_, (fitted, _), _), options = seen["linear_probes"]
    assert len(fitted) == 40 and len(options["test"][0]) == 20
    assert not any(minicnn.equal(fitted[0], held) for held in options["test"][0])
