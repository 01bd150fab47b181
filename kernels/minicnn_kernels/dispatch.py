"""Which implementation runs: tables keyed (algorithm, backend), the caller's choice, and "auto".

A table is data: `Table("conv2d", {("im2col", "numpy"): im2col.forward_numpy, ...})`. Three things choose its row:

1. a keyword of the call (`backend="python"`, `algorithm="direct"`);
2. else `with use(backend=..., algorithm=...)` around it;
3. else `auto`, the function below that states the rule.

The arrays of a call say whether it runs on the CPU or on a GPU. On a GPU, `auto` takes the row "cuda"; where a table
has none, or none for the type of the arrays, the row "numpy", which runs on CuPy's arrays as it is.
`use(backend="cupy")` names that. `use(backend="cuda-emulated")` runs the row "cuda" on the CPU (cuda.py).

A row that does not exist raises `NoKernelError`, which lists the existing rows; no other row runs in its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from . import runtime
from .arrays import GPU_TYPES, contiguous, is_emulated

TableKey = tuple[str, str]  # (algorithm, backend)

BACKENDS = ("python", "numpy", "numba")
ON_GPU = ("cuda", "cupy")  # "cupy" is the row "numpy" with the arrays of CuPy
PREFERRED = ("numba", "numpy")  # what `auto` takes, the fastest first; "python" runs only on request
ORDERS = ("channels_last", "contiguous_format")
EMULATED = "cuda-emulated"  # the row "cuda" with NumPy's arrays
_COLUMN = {"cuda": "cuda", "cupy": "numpy"}
TABLES: list[Table] = []  # all tables, in the order of their definition; the tests run all their rows


class NoKernelError(NotImplementedError):
    """The table has no implementation for the requested algorithm and backend."""


class Selection(NamedTuple):
    """What the caller asks for; None leaves it to `auto`."""

    backend: str | None = None
    algorithm: str | None = None
    fused: bool = True  # whether two layers may run as one function
    order: str | None = None  # of the memory of images: "channels_last", or "contiguous_format" for NCHW


_ALL_OPEN = Selection()
_selection: ContextVar[Selection] = ContextVar("minicnn_kernel_selection", default=_ALL_OPEN)


class Table:
    """The implementations of one operation, keyed (algorithm, backend), in order of preference of algorithms.

    Args:
        op: the name of the operation.
        rows: the functions; all take the same arguments. A backend may lack some of the algorithms.
        supports: for each algorithm that cannot do every call, a function of the arguments of a call: whether the
            algorithm can do it. The first line of its docstring, "Whether ...", says in errors what is possible. A key
            (algorithm, backend) is for one row, None for no limit.
        rules: for some backends, a function of the arguments of a call: which algorithm is the best for it. A backend
            without a rule takes its first algorithm that can do the call.

    >>> from minicnn_kernels.conv2d import FORWARD
    >>> FORWARD.algorithms[:3], ("direct", "python") in FORWARD.rows
    (('im2col', 'direct', 'winograd'), True)
    """

    def __init__(
        self,
        op: str,
        rows: Mapping[TableKey, Callable[..., Any]],
        supports: Mapping[str | TableKey, Callable[..., bool] | None] | None = None,
        rules: Mapping[str, Callable[..., str]] | None = None,
    ) -> None:
        self.op = op
        self.rows = dict(rows)
        self.algorithms = tuple(dict.fromkeys(algorithm for algorithm, _ in rows))
        self.rules = dict(rules or {})
        self._supports = dict(supports or {})
        self._by_arguments = bool(self.rules or self._supports)  # whether the choice depends on the arguments
        self._picked: dict[tuple[Selection, str | None, str | None], Callable[..., Any]] = {}
        TABLES.append(self)

    def __call__(self, *args: Any, backend: str | None = None, algorithm: str | None = None) -> Any:
        """Run the chosen row on `args`."""
        if GPU_TYPES and _has_gpu_array(args):
            row = self._pick_on_gpu(backend, algorithm, args)
            result = self.rows[row](*args)
            return result if row[1] != "numpy" else _in_memory_order(args, result)
        if self._by_arguments:
            # 1. The choice depends on the arguments, and the caller left it open: ask the rule, without `pick`.
            if backend is algorithm is None and _selection.get() is _ALL_OPEN:
                usual = usual_backend()
                rule = self.rules.get(usual)
                if rule is not None:
                    return self.rows[rule(*args), usual](*args)
            # 2. The choice depends on the arguments, and the caller chose something: `pick` looks at both.
            return self.rows[self.pick(backend, algorithm, args)](*args)
        # 3. The choice depends only on what the caller chose: `pick` runs once for each choice, then it is cached.
        key = (_selection.get(), backend, algorithm)
        kernel = self._picked.get(key)
        if kernel is None:
            kernel = self._picked[key] = self.rows[self.pick(backend, algorithm)]
        return kernel(*args)

    def _selected_algorithm(
        self, algorithm: str | None, args: tuple[Any, ...], backend: str | None = None
    ) -> str | None:
        """The algorithm of the keyword, or else that of `use` if it applies to the call."""
        if algorithm is None:
            selected = _selection.get().algorithm
            if selected in self.algorithms and self.supports(selected, args, backend):
                return selected
        return algorithm

    def _pick_on_gpu(self, backend: str | None, algorithm: str | None, args: tuple[Any, ...]) -> TableKey:
        """The row for arrays on a GPU."""
        backend = backend or _selection.get().backend
        if backend in (*BACKENDS, EMULATED):
            names = " or ".join(repr(name) for name in self._on_gpu())
            raise NoKernelError(
                f"{self.op}: backend {backend!r} computes on the CPU, and the arrays are on a GPU; move them "
                f"with .cpu(), or choose the backend {names or 'auto'}"
            )
        for name in (backend,) if backend else ON_GPU:
            column = _COLUMN[name]
            chosen = self._selected_algorithm(algorithm, args, column)
            rows = [a for a in self.algorithms if chosen in (None, a) and (a, column) in self.rows]
            able = [a for a in rows if self.supports(a, args, column)]
            if able and (name != "cuda" or _has_kernels(args, asked=backend is not None)):
                rule = self.rules.get(name)
                return (rule(*args) if rule and chosen is None else able[0]), column
        algorithm = self._selected_algorithm(algorithm, args)
        there = "; ".join(f"{name}: {', '.join(algorithms)}" for name, algorithms in self._on_gpu().items())
        raise NoKernelError(
            f"{self.op}: on a GPU no kernel can do this call with algorithm {algorithm or 'auto'!r} and backend "
            f"{backend or 'auto'!r}; there are the backends {there or 'of the CPU only'}"
        )

    def _on_gpu(self) -> dict[str, list[str]]:
        """The backends that can be asked for on a GPU, with their algorithms."""
        found = {name: [a for a, b in self.rows if b == _COLUMN[name]] for name in ON_GPU}
        return {name: algorithms for name, algorithms in found.items() if algorithms}

    def supports(self, algorithm: str, args: tuple[Any, ...], backend: str | None = None) -> bool:
        """Whether the algorithm, on a backend, can do the call; without arguments, whether it can do any."""
        limits = self._supports
        limit = limits[algorithm, backend] if backend and (algorithm, backend) in limits else limits.get(algorithm)
        return not args or limit is None or limit(*args)

    def _limit(self, algorithm: str) -> str:
        """What the algorithm can do, for an error: the first line of the docstring of its function in `supports`."""
        text = (self._supports[algorithm].__doc__ or "").partition("\n")[0]
        return f". It works only if {text.removeprefix('Whether ').rstrip('.')}" if text.startswith("Whether ") else ""

    def pick(self, backend: str | None = None, algorithm: str | None = None, args: tuple[Any, ...] = ()) -> TableKey:
        """The (algorithm, backend) that a call with these keywords and arguments runs at this place.

        An algorithm chosen by `use` applies only to the calls that it can do: "im2col" does not apply to pooling, nor
        "winograd" to a convolution of 5x5. An algorithm given as a keyword must run, and so must every chosen backend.
        """
        selected = _selection.get()
        algorithm = self._selected_algorithm(algorithm, args, _column(backend or selected.backend))
        if (backend or selected.backend) in ON_GPU:
            there = ", ".join(name for name in (*BACKENDS, EMULATED) if any(_column(name) == b for _, b in self.rows))
            raise NoKernelError(
                f"{self.op}: backend {backend or selected.backend!r} computes on a GPU, and the arrays are on the CPU; "
                f"move them with .to('cuda'), or choose one of {there}"
            )
        key = auto(self, _column(backend or selected.backend), algorithm, args)
        if key not in self.rows:
            there = ", ".join(f"{a}/{_on_cpu(b)}" for a, b in self.rows)
            raise NoKernelError(
                f"{self.op}: no kernel for algorithm {key[0]!r} on backend {_on_cpu(key[1])!r}; there are: {there}"
            )
        if algorithm is not None and not self.supports(algorithm, args, key[1]):
            able = ", ".join(name for name in self.algorithms if self.supports(name, args, key[1]))
            of = ", ".join(str(a) for a in args if isinstance(a, tuple)) + self._limit(algorithm)
            raise NoKernelError(f"{self.op}: algorithm {algorithm!r} cannot do {of}; algorithms that can: {able}")
        if not available(key[1]):
            raise NoKernelError(f"{self.op}: backend {key[1]!r} needs the package {key[1]} (pip install {key[1]})")
        return key


def _has_gpu_array(args: Iterable[Any]) -> bool:
    """Whether one of the arguments, of the arrays in a list of them, or of the parameters in `Weights` is on a GPU."""
    for a in args:
        kind = type(a)
        if kind in GPU_TYPES or ((kind is list or hasattr(a, "xs")) and _has_gpu_array(getattr(a, "xs", a))):
            return True
    return False


def _has_kernels(args: Iterable[Any], asked: bool) -> bool:
    """Whether kernels in CUDA can do a call on a GPU: its first array is of float32 or float64.

    On an emulated GPU they also need g++: without it the rows "numpy" compute everything, unless "cuda" was asked for.

    Raises:
        RuntimeError: it was asked for, and there is no g++.
    """
    first = next((a for a in args if type(a) in GPU_TYPES), None)
    if first is not None and first.dtype.char not in "fd":
        return False
    return not is_emulated() or _compiles_cuda(asked)


def _compiles_cuda(asked: bool) -> bool:
    from .emulated.build import NoCompilerError, compiler

    try:
        compiler()
    except NoCompilerError:
        if asked:
            raise
        return False
    return True


def _column(backend: str | None) -> str | None:
    """The column of the tables for a backend on the CPU."""
    return "cuda" if backend == EMULATED else backend


def _on_cpu(column: str) -> str:
    """The backend that runs a column of the tables on the CPU."""
    return EMULATED if column == "cuda" else column


def _in_memory_order(args: tuple[Any, ...], result: Any) -> Any:
    """The result of a row "numpy" on a GPU, its images in channels-last memory if the first image among `args` is.

    NumPy's functions keep that order on the CPU, CuPy's give C order.
    """
    first = next((a for a in args if type(a) in GPU_TYPES and a.ndim == 4), None)
    if first is None or first.flags.c_contiguous or not first.transpose(0, 2, 3, 1).flags.c_contiguous:
        return result
    if type(result) is tuple:
        return tuple([_channels_last(a, len(first)) for a in result])
    return _channels_last(result, len(first))


def _channels_last(a: Any, images: int) -> Any:
    if type(a) in GPU_TYPES and a.ndim == 4 and len(a) == images and a.flags.c_contiguous:
        return contiguous(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)  # (N, C, H, W), channels last
    return a


def available(backend: str) -> bool:
    """Whether the package that a backend needs besides NumPy is installed."""
    return backend != "numba" or runtime.have_numba()


@functools.cache  # every convolution calls this
def usual_backend() -> str:
    """The first backend of `PREFERRED` that is installed."""
    return next(filter(available, PREFERRED), PREFERRED[-1])


def auto(table: Table, backend: str | None, algorithm: str | None, args: tuple[Any, ...] = ()) -> TableKey:
    """Choose the backend and the algorithm that the caller left open.

    The backend is the first of `PREFERRED` that is installed and has a row. The algorithm is that of the table's rule
    for this backend; without a rule, it is the backend's first algorithm in the table that can do the call.
    """
    if backend is None:
        fit = (b for b in PREFERRED if available(b) and any(algorithm in (None, a) and b == c for a, c in table.rows))
        backend = next(fit, PREFERRED[-1])
    if algorithm is None:
        if args and backend in table.rules:
            algorithm = table.rules[backend](*args)
        else:
            able = [name for name in table.algorithms if table.supports(name, args, backend)]
            if not able:
                of = ", ".join(str(a) for a in args if isinstance(a, tuple))
                raise NoKernelError(f"{table.op}: no algorithm can do {of}; there are: {', '.join(table.algorithms)}")
            algorithm = next((name for name in able if (name, backend) in table.rows), able[0])
    return algorithm, backend


def compiles() -> bool:
    """Whether work outside the tables, such as reordering memory, runs compiled: True unless `use` forbids it."""
    return _selection.get().backend in (None, "numba") and runtime.have_numba()


def fuses() -> bool:
    """Whether two layers may run as one function: True where kernels run compiled, unless `use` forbids it."""
    return _selection.get().fused and compiles()


def chosen_order() -> str | None:
    """The order of memory that `use` chooses for images; "" leaves it to the kernels, None means that it stays.

    It stays where the user has chosen a backend or an algorithm, to follow or compare that.
    """
    selected = _selection.get()
    if selected.order:
        return selected.order
    return "" if selected.algorithm is None and compiles() else None


def _known_algorithms(wrong: str) -> str:
    """For an error: the names that are close to a wrong one, then those of the operations that leave a choice."""
    import difflib

    close = difflib.get_close_matches(wrong, {name for table in TABLES for name in table.algorithms})
    several = {t.op: t.algorithms for t in TABLES if len(t.algorithms) > 1 and not t.op.endswith(" backward")}
    single = sorted({t.algorithms[0] for t in TABLES if len(t.algorithms) == 1})
    return (
        (f"; did you mean {' or '.join(map(repr, close))}? There are: " if close else "; there are: ")
        + "".join(f"{op}: {', '.join(names)}; " for op, names in several.items())
        + f"operations with a single algorithm: {', '.join(single)}; all operations: auto"
    )


def same_choice() -> Callable[[], AbstractContextManager[None]]:
    """Return a function whose block chooses again what `use` chooses now."""
    now = _selection.get()
    return lambda: use(now.backend or "auto", now.algorithm or "auto", now.fused, now.order or "auto")


@contextmanager
def use(
    backend: str | None = None, algorithm: str | None = None, fused: bool | None = None, memory_format: Any = None
) -> Iterator[None]:
    """Choose the backend and the algorithm of every kernel called inside the `with` block, in this thread.

    Args:
        backend: "python", "numpy" or "numba", or on a GPU "cuda" or "cupy", or "cuda-emulated", which runs the kernels
            of the GPU on the CPU; "auto" leaves the choice to `auto`, None to the block around this one.
        algorithm: the name of an algorithm, such as "direct" or "im2col"; "auto" or None as above. It applies to the
            operations that have this algorithm.
        fused: False runs every layer by itself. With True, the default, some neighbours in an `nn.Sequential` run as
            one function, where kernels run compiled. Such a pair saves less, so that changing its result in place is
            no error in the backward pass, as it is for two layers. None as above.
        memory_format: `channels_last` or `contiguous_format` (NCHW): the order of memory of the images that
            convolutions work on, on the CPU. "auto", the default, takes channels-last for float32 where compiled
            kernels are faster so. What a program sees of the order, such as strides, does not depend on it. None as
            above.

    Raises:
        ValueError: no table has this backend or algorithm, or there is no such order of memory.

    A backward pass uses the choice that holds where `backward()` is called.

    >>> conv, x = nn.Conv2d(1, 2, 3), minicnn.ones(1, 1, 5, 5)
    >>> with minicnn.use(backend="python", algorithm="direct"):  # plain loops, by the definition
    ...     slow = conv(x)
    >>> minicnn.allclose(slow, conv(x), atol=1e-6)
    True
    """
    if fused not in (None, True, False):
        raise TypeError(f"use: fused must be True, False or None, got {fused!r}")
    if backend not in (None, "auto", *BACKENDS, *ON_GPU, EMULATED):
        raise ValueError(f"use: no backend {backend!r}; there are: {', '.join((*BACKENDS, *ON_GPU, EMULATED))}, auto")
    if algorithm not in (None, "auto") and not any(algorithm in table.algorithms for table in TABLES):
        raise ValueError(f"use: no algorithm {algorithm!r}{_known_algorithms(str(algorithm))}")
    order = getattr(memory_format, "name", memory_format)
    if order not in (None, "auto", *ORDERS):
        raise ValueError(f"use: memory_format must be one of {', '.join(ORDERS)} or 'auto', got {memory_format!r}")
    outer = _selection.get()
    names = backend or outer.backend, algorithm or outer.algorithm, order or outer.order
    backend, algorithm, order = (None if name == "auto" else name for name in names)
    inner = Selection(backend, algorithm, outer.fused if fused is None else bool(fused), order)
    token = _selection.set(_ALL_OPEN if inner == _ALL_OPEN else inner)
    try:
        yield
    finally:
        _selection.reset(token)
