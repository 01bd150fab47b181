"""One convolution layer with every algorithm and backend: time, speed, memory, multiplications, error."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn_kernels import runtime
from minicnn_kernels.geometry import Conv, IntOrPair, ShapeError, conv2d, same_padding

from ..memory_formats import MemoryFormat, channels_last, contiguous_format
from ..ops.tensor.creation import from_numpy
from ..tensor import Array, Tensor
from . import pytorch
from .rows import Operands, arguments, compile_ahead, multiplications, rows, table, wanted_rows
from .timing import best_times, seconds_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PASSES = ("forward", "gx", "gw")


class Measurement(NamedTuple):
    """One algorithm on one backend, in one pass over the layer.

    `seconds` is the best time of a call, or None if it was not measured; `note` then says why. `workspace` is in bytes.
    `multiplications` counts real multiplications, by the function in the algorithm's file. `error` is the largest
    difference from the definition in float64, relative to the definition's largest value.
    """

    which: str
    algorithm: str
    backend: str
    auto: bool
    seconds: float | None
    gflops: float | None
    workspace: int | None
    multiplications: int | None
    error: float | None
    note: str


class Comparison(NamedTuple):
    """The result of `compare_algorithms`: `rows` is the data, `print` shows a table, `plot` draws a chart."""

    rows: list[Measurement]
    geometry: Conv
    dtype: str
    channels_last: bool
    threads: int

    @property
    def title(self) -> str:
        """The layer as one line of text."""
        g = self.geometry
        order = "channels last" if self.channels_last else "NCHW"
        steps = [("stride", g.sh, g.sw, 1), ("padding", g.ph, g.pw, 0), ("dilation", g.dh, g.dw, 1)]
        extra = [f"{name} {a if a == b else f'{a}x{b}'}" for name, a, b, usual in steps if (a, b) != (usual, usual)]
        extra += [f"{g.groups} groups"] if g.groups > 1 else []
        shapes = " -> ".join("x".join(map(str, shape)) for shape in (g.x_shape, g.y_shape))
        return f"{shapes}, {', '.join([f'kernel {g.kh}x{g.kw}', *extra])}; {self.dtype}, {order}"

    @property
    def on(self) -> str:
        """The number of threads as text."""
        return f"{self.threads} thread{'s' * (self.threads != 1)}"

    def __str__(self) -> str:
        head = ("pass", "algorithm", "backend", "ms", "GFLOP/s", "workspace MiB", "multiplications", "error", "")
        cells = [_cells(row) for row in self.rows]
        widths = [max(len(line[i]) for line in (head, *cells)) for i in range(len(head))]
        lines, previous = [], None
        for line in (head, *cells):
            lines += [] if line[0] == previous else [""]  # between the passes
            previous = line[0]
            aligned = zip(line, widths, (str.ljust,) * 3 + (str.rjust,) * 5 + (str.ljust,), strict=True)
            lines.append("  ".join(to(text, width) for text, width, to in aligned).rstrip())
        return "\n".join([f"conv2d {self.title}; {self.on}", *lines, "", *_LEGEND])

    def __repr__(self) -> str:
        return str(self)

    def best(self, which: str = "forward") -> Measurement:
        """The fastest row of a pass.

        Raises:
            ValueError: nothing was measured in that pass.
        """
        timed = [row for row in self.rows if row.which == which and row.seconds is not None]
        if not timed:
            raise ValueError(f"best: nothing was measured in pass {which!r}; there are: {', '.join(PASSES)}")
        return min(timed, key=lambda row: row.seconds or 0.0)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """GFLOP/s as bars, a panel for each pass, with the choice of `auto` in colour; written to `path` if given."""
        from ..visualize.comparison import algorithms

        return algorithms(self, out=path)


_LEGEND = (
    "*  the choice of auto",
    "GFLOP/s: the definition's operations, 2*N*O*OH*OW*(C/G)*KH*KW, divided by the time, for every algorithm",
    "workspace: the most memory in NumPy arrays during a call, without operands and results, and without the memory",
    "           that BLAS, SciPy and compiled code allocate themselves",
    "error: the largest difference from the definition in float64, relative to the largest value",
)


def _cells(row: Measurement) -> tuple[str, ...]:
    """A line of the table."""

    def number(value: float | None, form: str, scale: float = 1) -> str:
        return "" if value is None else format(value / scale, form)

    return (
        row.which, row.algorithm + (" *" if row.auto else ""), row.backend, number(row.seconds, ".3f", 1e-3),
        number(row.gflops, ".3g"), number(row.workspace, ".2f", 2**20), number(row.multiplications, ",.0f"),
        number(row.error, ".0e"), row.note,
    )  # fmt: skip


def compare_algorithms(
    x: Any,
    w: Any,
    b: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    *,
    backward: bool = True,
    seconds: float = 1.0,
    backends: Sequence[str] | None = None,
    algorithms: Sequence[str] | None = None,
    slow: bool = False,
    against: str | None = None,
    memory_format: MemoryFormat | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Run one convolution layer with every algorithm and backend that can compute it, and measure each.

    The arguments up to `groups` are those of `nn.functional.conv2d`. Instead of tensors, x, w and b may be shapes: then
    float32 tensors of random numbers are made. `Measurement` and the printed legend say what is measured. The backend
    "python", plain loops, is left out if it would take longer than everything else, unless `slow` or `backends` says
    that it is wanted. Kernels that are not compiled yet are compiled first, on all cores.

    Args:
        x: (N, C, H, W) or (C, H, W), a tensor, an array or a shape.
        w: (O, C/groups, KH, KW), likewise.
        b: (O,), likewise; True for random numbers, None for none.
        stride, padding, dilation, groups: of the layer.
        backward: measure gx and gw (with gb) as well.
        seconds: about how long each pass is measured, in addition to the first call of each algorithm, which compiles,
            and the only call of a slow one.
        backends, algorithms: the ones to measure; by default all.
        slow: measure also what takes longer than everything else together.
        against: "torch" to measure PyTorch on the same arrays as well, in the same turns.
        memory_format: the order of memory of x and w; by default that of x.
        progress: a function that is called with a text before the first call of each algorithm.

    Returns:
        A `Comparison`.

    Raises:
        ShapeError: the shapes do not fit.
        TypeError: operands are neither tensors nor shapes, or their type is none of the kernels'.
        ValueError: a backend or algorithm does not exist, or none of them can compute the layer.

    >>> found = minicnn.compare_algorithms((1, 4, 8, 8), (4, 4, 3, 3), seconds=0.01, backends=["numpy"], backward=False)
    >>> sorted(row.algorithm for row in found.rows)
    ['direct', 'fft', 'im2col', 'implicit', 'registers', 'winograd']
    """
    if against is not None:
        pytorch.require(against)
    operands = _operands(x, w, b)
    x_, w_, b_ = operands
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ShapeError(
                f"compare_algorithms: padding must be a number, a tuple, 'same' or 'valid', not {padding!r}"
            )
        padding, end = same_padding(w_.shape[2:], stride, dilation) if padding == "same" else (0, ())
        if any(end):
            raise ShapeError("compare_algorithms: 'same' needs one more pixel at one end here: pad x first")
    g = conv2d(x_.shape, w_.shape, None if b_ is None else b_.shape, stride, padding, dilation, groups)
    if not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ValueError(f"compare_algorithms: seconds must be a number above 0, got {seconds!r}")
    if memory_format not in (None, channels_last, contiguous_format):
        raise ValueError(
            "compare_algorithms: memory_format must be minicnn.channels_last, minicnn.contiguous_format or None, got "
            f"{memory_format!r}"
        )
    if not g.n * g.c:
        raise ShapeError(f"compare_algorithms: there is nothing to compute for x {x_.shape}")
    in_channels_last = memory_format is channels_last or (memory_format is None and _is_channels_last(x_))
    ordered = _in_order(x_, in_channels_last), _in_order(w_, in_channels_last)
    gy = _in_order(np.random.default_rng(1).standard_normal(g.y_shape).astype(x_.dtype), in_channels_last)
    wanted, layer = wanted_rows(backends, algorithms, g, seconds, slow), (*ordered, b_, gy, g)
    passes = PASSES if backward else PASSES[:1]
    compile_ahead(passes, layer, wanted, progress)
    found = [row for which in passes for row in _one_pass(which, layer, seconds, wanted, against, progress)]
    return Comparison(found, g, x_.dtype.name, in_channels_last, runtime.threads() if runtime.have_numba() else 1)


# ------------------------------------------------------------------------------------------------------------ operands


def _operands(x: Any, w: Any, b: Any) -> tuple[Array, Array, Array | None]:
    """The operands as arrays of one type; for a shape, random numbers. A single image gets a batch axis."""
    rng = np.random.default_rng(0)
    given = {"x": x, "w": w, "b": None if b is None or b is False else b}
    if given["b"] is True:
        given["b"] = (_shape_of("w", w)[0],)
    kinds = {name: a.dtype for name, a in given.items() if isinstance(a, Tensor | np.ndarray)}
    if len(set(kinds.values())) > 1 or any(kind not in (np.float32, np.float64) for kind in kinds.values()):
        found = ", ".join(f"{name} {np.dtype(kind)}" for name, kind in kinds.items())
        raise TypeError(f"compare_algorithms: operands must be all float32 or all float64, got {found}")
    dtype = next(iter(kinds.values()), np.dtype(np.float32))
    arrays: dict[str, Array | None] = {}
    for name, a in given.items():
        if a is None and name == "b":
            arrays[name] = None
        elif isinstance(a, Tensor | np.ndarray):
            if isinstance(a, Tensor) and a.device.type != "cpu":
                raise TypeError(f"compare_algorithms: {name} is on device {a.device} and has no values; give its shape")
            arrays[name] = a.detach().numpy() if isinstance(a, Tensor) else np.asarray(a)
        else:
            arrays[name] = rng.standard_normal(_shape_of(name, a)).astype(dtype)
    x_, w_ = arrays["x"], arrays["w"]
    assert x_ is not None and w_ is not None
    return (x_[None] if x_.ndim == 3 else x_), w_, arrays["b"]


def _shape_of(name: str, a: Any) -> tuple[int, ...]:
    """The shape of a tensor, or a shape itself, checked."""
    shape = a.shape if isinstance(a, Tensor | np.ndarray) else a
    if not isinstance(shape, Sequence) or isinstance(shape, str) or any(not isinstance(n, int) or n < 0 for n in shape):
        raise TypeError(f"compare_algorithms: {name} must be a tensor or a shape such as (32, 64, 56, 56), got {a!r}")
    return tuple(shape)


def _is_channels_last(x: Array) -> bool:
    return bool(from_numpy(x).is_contiguous(memory_format=channels_last) and not x.flags.c_contiguous)


def _in_order(x: Array, in_channels_last: bool) -> Array:
    return from_numpy(x).contiguous(memory_format=channels_last if in_channels_last else contiguous_format).numpy()


# ----------------------------------------------------------------------------------------------------------- measuring


def _one_pass(
    which: str, layer: Operands, seconds: float, wanted: Any, against: str | None,
    progress: Callable[[str], None] | None,
) -> list[Measurement]:  # fmt: skip
    """The rows of one pass, in the order of the kernel table."""
    x, w, b, gy, g = layer
    kernels, args, notes = table(which), arguments(which, layer), rows(which, layer, wanted)
    calls: dict[tuple[str, str], Any] = {
        row: lambda kernel=kernels.rows[row]: _result(kernel(*args), which) for row, note in notes.items() if not note
    }
    if against:
        notes[against, ""] = ""
        calls[against, ""] = pytorch.convolution(which, x, w, b, gy, g)
    if not notes:
        raise ValueError(f"compare_algorithms: none of the chosen algorithms and backends can compute {which} of {g}")
    with np.errstate(all="ignore"):  # NaN and Inf in the caller's own tensors
        exact = _result(kernels.rows["direct", "numpy"](*arguments(which, layer, np.float64)), which)
        found = _measured(calls, exact, seconds, lambda text: progress(f"{which}: {text}") if progress else None)
    chosen = kernels.pick(None, None, args)
    measured = []
    for row, note in notes.items():
        ours = row in kernels.rows
        count = multiplications(sys.modules[kernels.rows[row].__module__], g, which) if ours else None
        time, space, error, once = found.get(row, (None, None, None, False))
        rate = 2 * g.n * g.o * g.oh * g.ow * (g.c // g.groups) * g.kh * g.kw / time / 1e9 if time else None
        note = "one call" if once else note
        measured.append(
            Measurement(which, *row, row == chosen, time, rate, space if ours else None, count, error, note)
        )
    return measured


_ORDER = {"numba": 0, "numpy": 1, "python": 2}


def _measured(
    calls: dict[tuple[str, str], Callable[[], Array]], exact: Array, seconds: float, tell: Callable[[str], None]
) -> dict[tuple[str, str], tuple[float, int, float, bool]]:
    """For each call the time, the bytes of scratch memory, the error, and whether it was too slow for a second call."""
    times, spaces, errors = {}, {}, {}
    calls = dict(sorted(calls.items(), key=lambda one: _ORDER.get(one[0][1], 0)))  # the fast ones first
    for number, (row, call) in enumerate(calls.items(), 1):
        compiles = "; compiled at its first use" if row[1] == "numba" else ""
        tell(f"first call of {' '.join(row).strip()}, {number} of {len(calls)}{compiles}")
        if row[1] != "python":
            call()  # compiles
        times[row], spaces[row], result = _watched(call)
        errors[row] = _error(result, exact)
    limit = max(seconds / 4, 3 * min(times.values(), default=0.0))
    quick = {row: call for row, call in calls.items() if times[row] <= limit and row[1] != "python"}
    times |= {row: seconds_of(calls[row]) for row in calls if row not in quick}  # without tracemalloc, which costs time
    tell(f"timing {len(quick)} of them in turns, {seconds:g} s")
    times |= best_times(quick, seconds)
    return {row: (times[row], spaces[row], errors[row], row not in quick) for row in calls}


def _watched(call: Callable[[], Array]) -> tuple[float, int, Array]:
    """The seconds, the bytes of scratch memory and the result of one call.

    The workspaces that kernels keep are freed first, so that those of this call are counted completely.
    """
    with runtime.parallel():
        runtime._workspaces.clear()
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        results: list[Array] = []
        spent = seconds_of(lambda: results.append(call()))
        now, peak = tracemalloc.get_traced_memory()
    finally:
        if not already:
            tracemalloc.stop()
    kept = sum(a.nbytes for a in runtime._workspaces.values())
    return spent, max(0, peak - now) + kept, results[0]


def _result(result: Any, which: str) -> Array:
    """y, gx or gw of what a kernel returned."""
    found: Array = result if which == "forward" else result[0 if which == "gx" else 1]
    return found


def _error(got: Array, exact: Array) -> float:
    """The largest difference where the definition is finite, relative to its largest value; Inf if `got` is not."""
    finite = np.isfinite(exact)
    scale = np.abs(exact[finite]).max(initial=0.0)
    if not np.isfinite(got[finite]).all():
        return float("inf")
    return float(np.abs(got[finite] - exact[finite]).max(initial=0.0) / (scale or 1.0))
