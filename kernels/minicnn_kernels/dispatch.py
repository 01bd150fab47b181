"""Which implementation runs: tables of (algorithm, backend), the caller's choice, and "auto".

A table is data: `Table("conv2d", {("im2col", "numpy"): im2col.forward_numpy, ...})`. Three things choose its row:

1. a keyword of the call (`backend="python"`, `algorithm="direct"`);
2. else `with use(backend=..., algorithm=...)` around it;
3. else `auto`, the one function below that states the rule.

A row that is not there raises `NoKernelError` with the rows that are; nothing else runs in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from . import runtime

Row = tuple[str, str]  # (algorithm, backend)

BACKENDS = ("python", "numpy", "numba")
TABLES: list[Table] = []  # every table there is, in the order of definition; the tests walk all their rows


class NoKernelError(NotImplementedError):
    """The table has no implementation for the algorithm and backend asked for."""


class Choice(NamedTuple):
    """What the caller asks for; None leaves it to `auto`."""

    backend: str | None = None
    algorithm: str | None = None
    fused: bool = True  # whether two layers may run as one function


_NONE = Choice()
_choice: ContextVar[Choice] = ContextVar("minicnn_kernel_choice", default=_NONE)


class Table:
    """The implementations of one operation, keyed (algorithm, backend), in order of preference of algorithms.

    Args:
        op: the name of the operation.
        rows: the functions, all called alike.
        supports: of an algorithm that cannot do every call, whether it can do one, as a function of its arguments.
        rule: which algorithm is best for a call on the Numba backend, as a function of its arguments; without it, and
            on the other backends, the first that can do it.
    """

    def __init__(
        self,
        op: str,
        rows: Mapping[Row, Callable[..., Any]],
        supports: Mapping[str, Callable[..., bool]] | None = None,
        rule: Callable[..., str] | None = None,
    ) -> None:
        self.op = op
        self.rows = dict(rows)
        self.algorithms = tuple(dict.fromkeys(algorithm for algorithm, _ in rows))
        self.rule = rule
        self._supports = dict(supports or {})
        self._picked: dict[tuple[Choice, str | None, str | None], Callable[..., Any]] = {}
        TABLES.append(self)

    def __call__(self, *args: Any, backend: str | None = None, algorithm: str | None = None) -> Any:
        """Run the chosen row on `args`."""
        if self.rule is not None:  # the choice depends on the arguments
            if backend is algorithm is None and _choice.get() is _NONE and runtime.have_numba():  # all left open
                return self.rows[self.rule(*args), "numba"](*args)
            return self.rows[self.pick(backend, algorithm, args)](*args)
        key = (_choice.get(), backend, algorithm)
        kernel = self._picked.get(key)
        if kernel is None:
            kernel = self._picked[key] = self.rows[self.pick(backend, algorithm)]
        return kernel(*args)

    def supports(self, algorithm: str, args: tuple[Any, ...]) -> bool:
        """Whether the algorithm can do the call; without arguments, whether it can do any."""
        return not args or algorithm not in self._supports or self._supports[algorithm](*args)

    def pick(self, backend: str | None = None, algorithm: str | None = None, args: tuple[Any, ...] = ()) -> Row:
        """The (algorithm, backend) a call with these keywords and arguments runs here and now.

        An algorithm chosen by `use` concerns the calls that it can do ("im2col" says nothing about pooling, and
        "winograd" nothing about a convolution of 5x5); one given as a keyword, and every choice of backend, is binding.
        """
        chosen = _choice.get()
        if algorithm is None and chosen.algorithm in self.algorithms and self.supports(chosen.algorithm, args):
            algorithm = chosen.algorithm
        row = auto(self, backend or chosen.backend, algorithm, args)
        if row not in self.rows:
            there = ", ".join(f"{a}/{b}" for a, b in self.rows)
            raise NoKernelError(
                f"{self.op}: no kernel for algorithm {row[0]!r} on backend {row[1]!r}; there are: {there}"
            )
        if algorithm is not None and not self.supports(algorithm, args):
            able = ", ".join(name for name in self.algorithms if self.supports(name, args))
            of = ", ".join(str(a) for a in args if isinstance(a, tuple))
            raise NoKernelError(f"{self.op}: algorithm {algorithm!r} cannot do {of}; there are for it: {able}")
        if row[1] == "numba" and not runtime.have_numba():
            raise NoKernelError(f"{self.op}: backend 'numba' needs the package numba (pip install numba)")
        return row


def auto(table: Table, backend: str | None, algorithm: str | None, args: tuple[Any, ...] = ()) -> Row:
    """Fill in what the caller left open: Numba before NumPy where it is installed; the algorithm by the table's rule
    on Numba, and else the table's first that can do the call.
    """
    if backend is None:
        fast = runtime.have_numba() and (algorithm is None or (algorithm, "numba") in table.rows)
        backend = "numba" if fast else "numpy"
    if algorithm is None:
        if table.rule is not None and args and backend == "numba":
            algorithm = table.rule(*args)
        else:
            algorithm = next(name for name in table.algorithms if table.supports(name, args))
    return algorithm, backend


def compiles() -> bool:
    """Whether what is not in a table, such as the step of an optimiser, runs compiled here: unless `use` forbids it."""
    return _choice.get().backend in (None, "numba") and runtime.have_numba()


def fuses() -> bool:
    """Whether two layers may run as one function here: where kernels run compiled, unless `use` forbids it."""
    return _choice.get().fused and compiles()


@contextmanager
def use(backend: str | None = None, algorithm: str | None = None, fused: bool | None = None) -> Iterator[None]:
    """Choose the backend and the algorithm of every kernel called inside the `with` block, in this thread.

    Args:
        backend: "python", "numpy" or "numba"; "auto" leaves the choice to `auto`, None to the block around this one.
        algorithm: the name of an algorithm, such as "direct" or "im2col"; "auto" or None as above. It concerns the
            operations that have it.
        fused: False runs every layer by itself. With True, the default, some neighbours in an `nn.Sequential` run as
            one function, where kernels run compiled. None as above.

    Raises:
        ValueError: the name is not one of any table.

    The backward pass of a result runs on the choice in force where `backward()` is called.
    """
    if backend not in (None, "auto", *BACKENDS):
        raise ValueError(f"use: no backend {backend!r}; there are: {', '.join(BACKENDS)}, auto")
    known = sorted({name for table in TABLES for name in table.algorithms})
    if algorithm not in (None, "auto", *known):
        raise ValueError(f"use: no algorithm {algorithm!r}; there are: {', '.join(known)}, auto")
    outer = _choice.get()
    names = backend or outer.backend, algorithm or outer.algorithm
    backend, algorithm = (None if name == "auto" else name for name in names)
    inner = Choice(backend, algorithm, outer.fused if fused is None else bool(fused))
    token = _choice.set(_NONE if inner == _NONE else inner)
    try:
        yield
    finally:
        _choice.reset(token)
