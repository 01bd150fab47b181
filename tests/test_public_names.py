"""Programs and files of earlier versions: every public name is in its place, pickles and run folders load."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import cli
from minicnn.compat.missing.moved import LEFT, MOVED

DATA = Path(__file__).parent / "earlier"


def listed() -> dict[str, list[str]]:
    """Path of a module -> names, as of version 0.1.0: those of PyTorch's modules that programs may import."""
    names: dict[str, list[str]] = {}
    for line in (DATA / "public_names.txt").read_text(encoding="utf-8").splitlines():
        if line.endswith(":"):
            place = names[line[:-1]] = []
        else:
            place += line.split()
    return names


@pytest.mark.parametrize(("place", "names"), listed().items(), ids=list(listed()))
def test_every_name_is_where_it_was(place: str, names: list[str]) -> None:
    module = importlib.import_module(place)
    assert names and not [name for name in names if not hasattr(module, name)]


def test_each_path_can_be_imported_first() -> None:
    """Each in its own forked process: no path depends on an earlier import."""
    code = (
        "import sys, os, numpy\n"  # which is not ours, and half of the time
        "for place in sys.argv[1:]:\n"
        "    if not os.fork():\n"
        "        import importlib; importlib.import_module(place); os._exit(0)\n"
        "    assert os.wait()[1] == 0, place\n"
    )
    if not hasattr(sys.modules["os"], "fork"):
        pytest.skip("needs fork")
    done = subprocess.run([sys.executable, "-c", code, *listed()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_moved_modules_are_there() -> None:
    for old, new in MOVED.items():
        if old not in sys.modules and importlib.util.find_spec(old) is not None:
            names = [name for name in vars(importlib.import_module(new)) if not name.startswith("__")]
            assert all(hasattr(importlib.import_module(old), name) for name in names), old


@pytest.mark.parametrize(
    "path",
    ["ops.linear.bmm", "ops.linear.outer", "ops.reduction.std", "ops.reduction.mean", "ops.operands.promote_types",
     "ops.pairs.cdist", "autograd.walk.grad", "analysis.compare.Row", "copying.leaf",
     *(path.removeprefix("minicnn.") for path in LEFT),
     *(f"ops.{path}" for path in ("shape.expand", "joining.meshgrid", "extrema.quantile", "gathering.masked_fill"))],
)  # fmt: skip
def test_what_old_pickles_name(path: str) -> None:
    place, _, name = f"minicnn.{path}".rpartition(".")
    assert callable(pickle.loads(f"c{place}\n{name}\n.".encode()))
    with pytest.raises(AttributeError):
        pickle.loads(f"c{place}\nnothing\n.".encode())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Files of version 0.1.0: a pickle of many objects, and a run folder."""
    with zipfile.ZipFile(DATA / "version_0_1_0.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_old_pickles_load(old: Path) -> None:
    objects = pickle.loads((old / "objects.pickle").read_bytes())
    np.testing.assert_allclose(objects["net"](objects["x"]).detach(), objects["y"], rtol=1e-5, atol=1e-6)
    assert isinstance(objects["layers"][0], minicnn.nn.PixelShuffle)
    for name, optimizer in objects["optimizers"].items():
        assert type(optimizer) is getattr(minicnn.optim, name)
        (p,) = optimizer.param_groups[0]["params"]
        before, p.grad = p.detach().clone(), minicnn.ones(3)
        optimizer.step()
        assert (p < before).all()
    assert minicnn.matmul in objects["functions"] and minicnn.cat in objects["functions"]
    assert objects["types"] == [minicnn.Size((2, 3)), minicnn.float32, minicnn.device("cpu"), minicnn.channels_last]


def test_old_runs_load(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", str(old / "run"), "--backend", "numpy"]) == 0
    assert "top-1 accuracy: 51.94%" in capsys.readouterr().out
