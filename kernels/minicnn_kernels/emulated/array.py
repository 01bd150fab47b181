"""`ndarray`: an array on an emulated GPU, and its ways to the CPU and back. Its operators come with `methods.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import clocks
from .api import supported
from .clocks import check_order, watched
from .cuda import Device
from .devices import check_device, here
from .memory import Memory, MemoryPointer, is_pinned
from .streams import Queue, Stream, busy, catch_up, current_clock, get_current_stream
from .traffic import traffic, wait
from .values import cast, check_places, poisoned


class Flags:
    """How an array lies in memory. There is no `writeable` on a GPU."""

    __slots__ = ("c_contiguous", "f_contiguous", "owndata")

    def __init__(self, c_contiguous: bool, f_contiguous: bool, owndata: bool) -> None:
        self.c_contiguous, self.f_contiguous, self.owndata = c_contiguous, f_contiguous, owndata

    fnc = property(lambda self: self.f_contiguous and not self.c_contiguous)
    forc = property(lambda self: self.f_contiguous or self.c_contiguous)

    def __getitem__(self, name: str) -> bool:
        if name not in ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA"):
            raise KeyError(f"{name} is not defined for cupy.ndarray.flags")
        return bool(getattr(self, name.lower()))


class ndarray:
    """An array on an emulated GPU.

    `_a` is the NumPy array that holds its values. Only this package looks at it: by `raw`, which checks the device and
    lets the stream catch up.
    """

    __slots__ = ("__weakref__", "_a", "_memory", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]
    __module__ = "cupy"

    _a: Any
    _memory: Memory
    base: ndarray | None

    def __init__(
        self,
        shape: Any,
        dtype: Any = float,
        memptr: MemoryPointer | None = None,
        strides: Any = None,
        order: Any = "C",
    ) -> None:
        kind = supported(dtype)
        self.base = None
        if memptr is None:
            self._a = poisoned(np.ndarray(shape, kind, order="F" if order and order in "Ff" else "C"))
            self._memory = Memory(self._a.nbytes)
        else:
            self._a = np.ndarray(
                shape, kind, memptr.bytes, strides=strides, order="F" if order and order in "Ff" else "C"
            )
            self._memory = memptr.mem

    # ------------------------------------------------------------------------------------------ between CPU and GPU

    def get(self, stream: Stream | None = None, order: Any = "C", out: Any = None, blocking: bool = True) -> Any:
        """The values as a NumPy array.

        With `blocking=False`, a copy to page-locked memory (`out`) is only put in the queue of the stream.
        """
        a = self._a
        if out is not None:
            self._check_host(out, "obtained from")
            if not (out.flags.c_contiguous or out.flags.f_contiguous):
                raise RuntimeError("`out` cannot be specified when copying to non-contiguous ndarray")
        elif not a.size:
            return np.ndarray(a.shape, a.dtype)
        traffic.to_host += 1
        queue = self._queue(stream)
        if watched and self._memory.written is not None:
            check_order(self._memory.written, queue.clock)
        if not blocking and out is not None and is_pinned(out):
            queue.add(lambda: np.copyto(out, a))
            return out
        wait("a copy to the CPU")
        queue.run()
        if watched:
            clocks.host.learn(queue.clock.seen())
        if out is None:
            return np.array(a, order=order)
        np.copyto(out, a)
        return out

    def set(self, arr: Any, stream: Stream | None = None) -> None:
        """Copy a NumPy array here. From page-locked memory the copy is only put in the queue of the stream."""
        self._check_host(arr, "set to")
        a = self._a
        if not (a.flags.c_contiguous or a.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        queue = self._queue(stream)
        if watched and self._memory.written is not None:
            check_order(self._memory.written, queue.clock)
        upload(a, arr, queue)

    def _check_host(self, host: Any, what: str) -> None:
        if not isinstance(host, np.ndarray):
            raise TypeError(f"Only numpy.ndarray can be {what} cupy.ndarray")
        if host.dtype != self.dtype:
            raise TypeError(f"{host.dtype} array cannot be {what} {self.dtype} array")
        if host.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {host.shape}")

    def _queue(self, stream: Stream | None) -> Queue:
        return (get_current_stream() if stream is None else stream).queue(self._memory.device_id)

    def item(self) -> Any:
        """The only element as a Python number."""
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def tolist(self) -> Any:
        """The values as lists of Python numbers."""
        return self.get().tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """The values as bytes."""
        return bytes(self.get().tobytes(order))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any:
        if dl_device == (1, 0):
            if copy is False:
                raise ValueError("GPU memory cannot be exported to CPU without copy.")
            return self.get().__dlpack__()
        raise BufferError("an emulated array has no memory on a GPU that others could read; use .get()")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._memory.device_id

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous. "
                             "Use a.any() or a.all()")  # fmt: skip
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    # ---------------------------------------------------------------------------------------------------- what it is

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    T = property(lambda self: self if self._a.ndim < 2 else view(self._a.T, self))
    mT = property(lambda self: view(self._a.mT, self))
    imag = property(lambda self: view(self._a.imag, self) if self.dtype.kind == "c" else fresh(np.zeros_like(self._a)))

    @property
    def real(self) -> ndarray:
        """The real part; an array of real numbers itself."""
        return view(self._a.real, self) if self.dtype.kind == "c" else self

    @property
    def flags(self) -> Flags:
        """How it lies in memory."""
        flags = self._a.flags
        return Flags(flags.c_contiguous, flags.f_contiguous, self.base is None)

    @property
    def device(self) -> Device:
        """Where it lies."""
        return Device(self._memory.device_id)

    @property
    def data(self) -> MemoryPointer:
        """Where its first element lies."""
        a = self._a
        return MemoryPointer(self._memory, 0, a.reshape(-1).view(np.uint8) if a.flags.c_contiguous else a)

    def __len__(self) -> int:
        if not self._a.ndim:
            raise TypeError("len() of unsized object")
        return len(self._a)

    # ---------------------------------------------------------------------------------------------- copies and views

    def astype(self, dtype: Any, order: Any = "K", casting: Any = None, subok: Any = None, copy: Any = True) -> ndarray:
        """A copy of another type. Its axes lie in memory in the order of this array's, by default."""
        if casting is not None or subok is not None:
            raise TypeError(f"{'subok' if casting is None else 'casting'} is not supported yet")
        dtype, order = supported(dtype), order or "K"
        a = self._a
        if not copy and dtype == a.dtype:
            c, f = a.flags.c_contiguous, a.flags.f_contiguous
            if order == "K" or (order == "A" and (c or f)) or (order == "C" and c) or (order == "F" and f):
                return self
        return fresh(np.array(cast(raw(self), dtype), order=order))

    def copy(self, order: Any = "C") -> ndarray:
        """A copy on the current device, also of an array of another device."""
        if self._memory.device_id == here.device:
            return fresh(np.array(raw(self), order=order))
        source = np.array(self._a, order=order)
        if not (source.flags.c_contiguous or source.flags.f_contiguous):
            raise NotImplementedError("CuPy cannot copy non-contiguous array between devices.")
        made, a = unwritten(np.empty_like(source)), self._a
        get_current_stream().queue(here.device).add(lambda: np.copyto(made._a, a))
        return made

    def squeeze(self, axis: Any = None) -> ndarray:
        """A view without axes of length 1."""
        y = self._a.squeeze(axis)
        return self if y.ndim == self._a.ndim else view(y, self)

    def view(self, dtype: Any = None, type: Any = None) -> ndarray:
        """The same memory, as another type."""
        return view(self._a.view(*(() if dtype is None else (dtype,))), self)

    def fill(self, value: Any) -> None:
        """Set all elements to one value, a number or an array of rank 0."""
        if isinstance(value, ndarray):
            if value.shape:
                raise ValueError("non-scalar cupy.ndarray cannot be used for fill")
            number = cast(raw(value), self.dtype)
        else:
            number = np.asarray(value, self.dtype)
            if number.shape:
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        to_write(self)[...] = number

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        before, here.device = here.device, self._memory.device_id
        try:
            return self.copy()
        finally:
            here.device = before


# ---------------------------------------------------------------------------------------- to NumPy's arrays and back


def raw(x: ndarray) -> Any:
    """The NumPy array of an emulated one, for work on the current device and stream."""
    if busy:
        catch_up()
    memory = x._memory
    if memory.device_id != here.device:
        check_device(memory.device_id)
    if watched and memory.written is not None:
        check_order(memory.written, current_clock())
    return x._a


def anywhere(x: ndarray) -> Any:
    """The NumPy array of an emulated one on any device, for a view of it."""
    if busy:
        catch_up()
    return x._a


def to_write(x: ndarray) -> Any:
    """The NumPy array of an emulated one as by `raw`, for work that writes to it."""
    a = raw(x)
    check_places(a)
    if watched:
        x._memory.written = current_clock().compute()
    return a


def host(x: Any) -> Any:
    """An argument for NumPy: emulated arrays as by `raw`, in lists and tuples too.

    Raises:
        TypeError: a NumPy array among the arguments.
    """
    kind = type(x)
    if kind is ndarray:
        return raw(x)
    if kind is list or kind is tuple:
        return kind(map(host, x))
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {kind}: a NumPy array of shape {x.shape} meets arrays on a GPU")
    return x


def fresh(a: Any) -> ndarray:
    """A new array of the current device, from a NumPy array that nobody else has."""
    x = object.__new__(ndarray)
    x._a, x._memory, x.base = a, Memory(a.nbytes), None
    if watched:
        x._memory.written = current_clock().compute()
    return x


def unwritten(a: Any) -> ndarray:
    """New memory of the current device, which no work has written to yet."""
    x = fresh(poisoned(a))
    x._memory.written = None
    return x


def view(a: Any, of: ndarray) -> ndarray:
    """An array on the memory of another one."""
    x = object.__new__(ndarray)
    x._a, x._memory = a, of._memory
    x.base = of if of.base is None else of.base
    return x


def result(y: Any, arguments: Any = (), keep: bool = False) -> Any:
    """A result of NumPy as CuPy would give it: a view of an argument, or a new array, in C order unless `keep`."""
    if isinstance(y, np.ndarray):
        for x in arguments:
            if type(x) is ndarray and is_view(y, x._a):
                if not y.flags.writeable:  # CuPy has no arrays that are read-only
                    y.flags.writeable = True
                return view(y, x)
        return fresh(y if keep or y.flags.c_contiguous else np.array(y, order="C"))
    if isinstance(y, np.generic):
        return fresh(np.asarray(y))
    if isinstance(y, tuple):
        parts = [result(v, arguments, keep) for v in y]
        return type(y)(*parts) if hasattr(y, "_fields") else tuple(parts)
    return [result(v, arguments, keep) for v in y] if isinstance(y, list) else y


def is_view(y: Any, a: Any) -> bool:
    """Whether y lies in the memory of a, or would if it had elements."""
    base = y.base
    if base is None:
        return y is a
    return base is a or (base is a.base) or np.may_share_memory(y, a)


def upload(a: Any, source: Any, queue: Queue) -> None:
    """Put a copy from the CPU in a queue; memory that is not page-locked is read at once."""
    traffic.to_device += 1
    if not is_pinned(source):
        source = source.copy()
    queue.add(lambda: np.copyto(a, source))
