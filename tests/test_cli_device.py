"""`minicnn train --device cuda` and `minicnn eval --device cuda`, on an emulated GPU; and without a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minicnn import cli
from minicnn.cli import arguments
from minicnn_kernels import arrays, dispatch


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an epoch on the CPU, and one on the second GPU; each with a backend that the other device has not."""
    folder = tmp_path_factory.mktemp("runs")
    train = ["train", "--epochs", "1", "--quiet", "--batch-size", "200", "--out"]
    assert cli.main([*train, str(folder / "cpu"), "--backend", "numba"]) == 0
    with arrays.emulated():
        assert cli.main([*train, str(folder / "cuda"), "--device", "cuda:1", "--backend", "cupy"]) == 0
    return folder


def losses(run: Path) -> list[float]:
    return [float(number) for number in (run / "metrics.csv").read_text().splitlines()[1].split(",")[1:5]]


def test_a_training_on_a_gpu(runs: Path) -> None:
    assert losses(runs / "cuda") == pytest.approx(losses(runs / "cpu"), rel=1e-4)
    config = json.loads((runs / "cuda" / "config.json").read_text())
    assert config["training"]["device"] == "cuda:1" and config["environment"]["emulated"] is True
    assert (runs / "cuda" / "curves.png").exists()


def test_an_evaluation_elsewhere(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for run, device in (("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda:1")):
        with arrays.emulated():
            assert cli.main(["eval", str(runs / run), "--device", device]) == 0
        said.append(capsys.readouterr().out)
    assert "top-1 accuracy" in said[0] and said[1] == said[2]


def test_backends_of_a_gpu(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(arguments.BACKENDS) == {"auto", *dispatch.BACKENDS, *dispatch.ON_GPU, dispatch.EMULATED}
    with arrays.emulated():
        assert cli.main(["eval", str(runs / "cuda"), "--device", "cuda", "--backend", "cupy"]) == 0
        assert "top-1 accuracy" in capsys.readouterr().out
        assert cli.main(["eval", str(runs / "cuda"), "--device", "cuda", "--backend", "numpy"]) == 1
    assert "backend 'numpy' computes on the CPU, and the arrays are on a GPU" in capsys.readouterr().err
    for backend in ("cuda", "cupy"):
        assert cli.main(["train", "--backend", backend, "--quiet", "--out", str(tmp_path / backend)]) == 1
        assert f"backend '{backend}' computes on a GPU, and the arrays are on the CPU" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "eval"])
def test_without_a_gpu(command: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def gpu() -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr(arrays, "gpu", gpu)
    options = [str(runs / "cpu")] if command == "eval" else ["--out", str(runs / "none")]
    assert cli.main([command, *options, "--device", "cuda"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"minicnn: error: {command}: 'cuda' is not available; compute on 'cpu'")
    assert "minicnn doctor" in error and not (runs / "none").exists()


@pytest.mark.parametrize("device", ["meta", "gpu", "cuda:", "cuda:-1", "0"])
def test_names_that_are_none(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--device", device]) == 2
    assert f"argument --device: {device!r} is not cpu, cuda or a number of a GPU" in capsys.readouterr().err


def test_a_gpu_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with arrays.emulated():
        assert cli.main(["train", "--device", "cuda:2"]) == 1
    assert "train: CUDA error: invalid device ordinal: there is no 'cuda:2'" in capsys.readouterr().err
