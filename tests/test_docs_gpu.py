"""docs/gpu.md: what it says about operations that compute on the CPU, and about waiting, is true."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn.autograd.engine import Function
from minicnn_kernels import activations, arrays
from minicnn_kernels.dispatch import TABLES
from minicnn_kernels.emulated import build
from minicnn_kernels.emulated.raw_module import EmulatedLaunchError
from minicnn_kernels.emulated.traffic import DeviceSynchronized, no_waits

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
ON_CPU = re.findall(r"^\| (`.*?) \| `(\w+)` \|$", TEXT, re.M)


def kinds(of: type[Function]) -> Iterator[type[Function]]:
    """All functions of the library that differentiate."""
    for one in of.__subclasses__():
        yield one
        yield from kinds(one)


def test_the_list_of_what_cupy_cannot_do_is_complete() -> None:
    for module in pkgutil.walk_packages(minicnn.ops.__path__, "minicnn.ops."):
        importlib.import_module(module.name)
    there = {one.__name__ for one in kinds(Function) if one.on_cpu and one.__module__.startswith("minicnn.")}
    assert there and {name for _, name in ON_CPU} == there
    for operations, _ in ON_CPU:
        assert all(
            hasattr(minicnn.Tensor, name) or hasattr(minicnn, name) for name in re.findall(r"`(\w+)`", operations)
        )


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the expressions below are about, on the emulated GPU."""
    with arrays.emulated():
        x = minicnn.rand(3, 4, device="cuda")
        i, rows = minicnn.tensor([0, 1], device="cuda"), minicnn.zeros(3, 4, device="cuda").long()
        square = minicnn.eye(2, device="cuda").requires_grad_()
        labels = minicnn.tensor([0, 1, 2], device="cuda")
        net = minicnn.nn.Sequential(minicnn.nn.Linear(4, 3), minicnn.nn.BatchNorm1d(3), minicnn.nn.ReLU()).to("cuda")
        parameter = minicnn.nn.Parameter(x.clone())
        parameter.sum().backward()
        averaging = minicnn.nn.BatchNorm1d(4, momentum=None).to("cuda")
        yield {"parameters": [parameter], "averaging": averaging, "optim": minicnn.optim,
               "x": x, "y": x + 1, "i": i, "rows": rows, "mask": x > 0.5, "one": minicnn.ones((), device="cuda"),
               "labels": labels, "square": square, "net": net, "minicnn": minicnn, "F": F}  # fmt: skip


clip = "minicnn.nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)"
# The words of the text in order of their lists, and an expression for each.
WAITS = {
    "x.item()": "one.item()", "float(x)": "float(one)", "x.tolist()": "x.tolist()", "x.cpu()": "x.cpu()",
    "print(x)": "str(x)", "if x > 0:": "bool(one > 0)", "x.equal(y)": "x.equal(y)", "x[mask]": "x[mask]",
    "nonzero": "x.nonzero()", "argwhere": "minicnn.argwhere(x)", "masked_select": "x.masked_select(mask)",
    "repeat_interleave": "x[:2].repeat_interleave(i, 0)", "x[indices]": "x[i]", "gather": "x.gather(1, rows)",
    "scatter": "x.scatter(1, rows[:, :1], y)",
    "scatter_add": "x.scatter_add(1, rows, y)", "index_select": "x.index_select(0, i)",
    "index_add": "x.index_add(0, i, y[:2])", "index_copy": "x.index_copy(0, i, y[:2])",
    "index_fill": "x.index_fill(0, i, 1)", "index_put": "x.index_put((i,), one)", "take": "x.take(i)",
    "take_along_dim": "x.take_along_dim(rows, 1)", "masked_scatter": "x.masked_scatter(mask, y)",
    "one_hot": "F.one_hot(i)", "max_unpool2d": "F.max_unpool2d(x[None, None], rows[None, None], 2)",
    "max_unpool3d": "F.max_unpool3d(x[None, None, None], rows[None, None, None], (1, 2, 2))",
    "embedding": "F.embedding(i, x)", "embedding_bag": "F.embedding_bag(i, x, i)",
    "k // n": "rows // (rows + 1)", "k % n": "rows % (rows + 1)", "k ** n": "rows ** (rows + 1)", "n": "2 ** rows",
    "normal": "minicnn.normal(x, y)", "bernoulli_": "x.clone().bernoulli_(x)",
    "matrix_exp": "square.matrix_exp()", "det": "square.det().backward()", "allclose": "x.allclose(y)",
    "linspace": "minicnn.linspace(one, 2, 3)", "full": "minicnn.full((2,), one)", "tensor": "minicnn.tensor([one, 2])",
    "clip_grad_norm_": clip, "error_if_nonfinite=True": clip,
}  # fmt: skip
UNIQUE = {
    "unique": "x.unique()", "unique_consecutive": "x.unique_consecutive()", "bincount": "i.bincount()",
    "histc": "x.histc()", "multinomial": "x.multinomial(2)", "bernoulli": "x.bernoulli()",
    "poisson": "minicnn.poisson(x)",
}  # fmt: skip


def section(start: str, end: str) -> str:
    return TEXT[TEXT.index(start) : TEXT.index(end, TEXT.index(start))]


def test_the_lists_are_those_of_the_text() -> None:
    listed = re.findall(r"`([^`]+)`", section("It waits only", "- in the operations above"))
    assert listed == list(WAITS)
    assert re.findall(r"`(\w+)`", section("`unique`, `unique_consecutive`", "also compute")) == list(UNIQUE)


OTHERS = [
    "averaging(x)", "optim.SGD(parameters, lr=one).step()", "optim.LBFGS(parameters).step(lambda: parameters[0].sum())"
]  # fmt: skip
FREE = [
    "rows // 2", "rows % 2", "rows ** 2", "x // y", "x % y", "x ** y", "x.bernoulli_(0.5)", "x.isclose(y)",
    "optim.SGD(parameters, lr=minicnn.tensor(0.1)).step()", "F.batch_norm(x, y[0], y[1], training=True)",
    "minicnn.nn.utils.clip_grad_norm_(parameters, 1.0)", "x.masked_fill(mask, 1)", "F.pdist(x)", "square.det()",
]  # fmt: skip


@pytest.mark.parametrize("expression", FREE)
def test_what_does_not_wait(names: dict[str, Any], expression: str) -> None:
    with no_waits():
        eval(expression, names)


@pytest.mark.parametrize("expression", [*WAITS.values(), *UNIQUE.values(), *OTHERS])
def test_what_waits(names: dict[str, Any], expression: str) -> None:
    eval(expression, names)
    with no_waits(), pytest.raises(DeviceSynchronized):
        eval(expression, names)


@pytest.mark.parametrize("optimizer", [minicnn.optim.SGD, minicnn.optim.Adam])
def test_a_training_step_does_not_wait(names: dict[str, Any], optimizer: Any) -> None:
    net, x = names["net"], minicnn.rand(3, 4)
    opt = optimizer(net.parameters(), lr=0.1)
    for _ in range(2):
        with no_waits():
            opt.zero_grad()
            loss = F.cross_entropy(F.dropout(net(x.to("cuda"))), names["labels"])
            loss.backward()
            minicnn.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
    assert loss.item() > 0


def test_a_label_out_of_range(names: dict[str, Any]) -> None:
    wrong = names["labels"] + 2
    with no_waits():
        loss = F.cross_entropy(names["x"], wrong)
    assert loss.isnan()
    with minicnn.autograd.detect_anomaly(), pytest.raises((IndexError, ValueError, RuntimeError), match="4"):
        F.cross_entropy(names["x"], wrong)


def test_the_program_of_the_text_runs(names: dict[str, Any]) -> None:
    program = re.search(r"```python\n(import minicnn\n.*?)```", TEXT, re.S)
    assert program
    exec(program[1], found := {})
    assert found["device"] == "cuda" and found["net"][3].weight.grad.is_cuda


def test_the_tile_is_drawn_as_the_code_computes_it(tmp_path: Path) -> None:
    """Each number is copied by one thread and computed by one, all threads have the same share."""
    spec = importlib.util.spec_from_file_location("draw_tile", ROOT / "docs" / "draw_tile.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    tile = script.tile()
    for owners in (tile.copied_left, tile.copied_right, tile.computed):
        shares = np.bincount(owners.ravel(), minlength=tile.threads)
        assert len(shares) == tile.threads and (shares == owners.size // tile.threads).all()
    assert f"{tile.threads} threads copy {tile.step} terms" in TEXT and "(images/tile.png)" in TEXT
    script.draw(tile, tmp_path / "tile.png")
    assert (tmp_path / "tile.png").stat().st_size > 50_000 and (ROOT / "docs" / "images" / "tile.png").is_file()


def program(start: str, kind: str = "python") -> str:
    """The program of the text that begins so."""
    found = re.search(rf"```{kind}\n({re.escape(start)}.*?)```", TEXT, re.DOTALL)
    assert found
    return found[1]


def test_a_launch_is_stepped_through_as_the_text_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded launch is that of the file and the line where the debugger is told to stop."""
    monkeypatch.chdir(tmp_path)
    exec(program("from minicnn_kernels.emulated.raw_module import recorded"), {
        "minicnn": minicnn, "conv": minicnn.nn.Conv2d(2, 3, 3), "x": minicnn.rand(1, 2, 5, 5),
    })  # fmt: skip
    place = re.search(r"--args (\S+) (\S+)\n\(gdb\) break (\S+):(\d+)\n", TEXT)
    assert place and Path(place[2]).is_file()
    assert f"{place[3]}\0".encode() in Path(place[1]).read_bytes()  # in its tables of lines
    lines = (ROOT / "kernels" / "minicnn_kernels" / "conv2d" / place[3]).read_text(encoding="utf-8").splitlines()
    assert lines[int(place[4]) - 1] == "  T sum = 0;" and int(place[4]) < lines.index("}", 17)  # in `forward`


def test_a_kernel_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is right in all orders of threads, and without its barrier it is not, as the text says."""
    monkeypatch.chdir(tmp_path)
    kernel, script = program("__global__ void reverse", "cuda"), program("from pathlib import Path")
    Path("reverse.cu").write_text(kernel, encoding="utf-8")
    exec(script, {})
    assert capsys.readouterr().out == "ascending True\ndescending True\nrandom True\n"
    Path("reverse.cu").write_text(kernel.replace("__syncthreads();", ""), encoding="utf-8")
    with pytest.raises(EmulatedLaunchError, match="data race"):
        exec(script, {})
    assert "False" in capsys.readouterr().out


def test_without_a_compiler_the_rows_of_numpy_run(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """And `backend="cupy"` asks for them where there is one."""
    assert 'minicnn.use(backend="cupy")' in section("## A program for GPUs", "## A kernel in CUDA")
    assert "Without g++" in section("## A program for GPUs", "## A kernel in CUDA")
    x = (names["x"]._array,)
    with minicnn.use(backend="cupy"):
        assert activations.RELU._pick_on_gpu(None, None, x)[1] == "numpy"
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    build.compiler.cache_clear()
    assert activations.RELU._pick_on_gpu(None, None, x)[1] == "numpy"
    monkeypatch.undo()
    build.compiler.cache_clear()


def test_the_kernels_of_the_tile_in_the_order_of_the_text() -> None:
    """First plain matrices, then windows: gemm.cu calls what the table says, and implicit.cu the same."""
    tile = section("### From the readable kernel", "![A tile")
    assert tile.index("gemm.cu") < tile.index("implicit.cu")
    texts = [(ROOT / "kernels" / "minicnn_kernels" / file).read_text(encoding="utf-8") for file in (
        "gemm.cu", "conv2d/implicit/implicit.cu",
    )]  # fmt: skip
    for name in re.findall(r"^\| `(\w+)`", tile, re.M):
        assert all(name in text for text in texts), name
    assert "WindowsAsLines" in tile and "WindowsAsLines" in texts[1]


def test_how_often_a_kernel_is_written() -> None:
    columns = {backend for table in TABLES for _, backend in table.rows}
    number = ["three", "four", "five"][len(columns) - 3]
    assert f"written {number} times" in (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
