"""Reads pickles without running anything: a stack machine that knows the instructions for plain data, and no others.

A pickle is a program: its instructions build an object on a stack, and some of them name any function of any module
and call it. This machine has its own table of names. What a name stands for is an object of this package, a `Maker`,
never the function with that name; a name that is not in the table ends the reading before anything is made. Python's
`pickle.Unpickler` is not used. https://docs.python.org/3/library/pickletools.html describes the instructions.

Containers are list, tuple, dict, set and OrderedDict, of exactly these types, so that filling them calls no method that
a file could have chosen. The work is counted, so that a small file cannot build a large object.
"""

from __future__ import annotations

import pickletools
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from ..dtypes import Size
from .source import Source

_MOST_WORK = 10_000_000  # instructions and elements: a thousand times as many as a large net's state dict has
_ATOMS = (str, int, float, complex, bool, bytes, type(None))  # what a key of a dict may be, alone or in a tuple
_LONGEST_KEY = 100  # parts of a tuple that is a key
_LONGEST_INT = 1 << 14  # bits; Python hashes an integer anew each time
_LONGEST_LINE = 1000  # bytes of a name, which ends with the line
_BLOCK = 1 << 16
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = {  # the argument of the instruction is the value
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip


class Refused(ValueError):
    """The pickle does what no pickle of plain data does. The message says what."""


class Maker:
    """Stands for a name in a pickle. `make` gets the arguments with which the pickle wants to call what has the name.

    `work` is what a call costs at least; elements of lists in the arguments are added.
    """

    __slots__ = ("make", "name", "work")

    def __init__(self, name: str, make: Callable[..., Any], work: int = 1) -> None:
        self.name, self.make, self.work = name, make, work


class Pickles:
    """A source as a stream of pickles: never more is read than there is, whatever length an instruction declares."""

    def __init__(self, source: Source, begin: int = 0) -> None:
        self.source, self.block, self.begun, self.at = source, b"", begin, 0

    def tell(self) -> int:
        """The place of the next byte."""
        return self.begun + self.at

    def read(self, count: int) -> bytes:
        """The next bytes; fewer than `count` only at the end."""
        if self.at + count > len(self.block):
            end = self.begun + len(self.block)
            self.begun, self.at, rest = self.begun + self.at, 0, self.block[self.at :]
            self.source.stream.seek(self.source.start + end)
            left = (self.source.size or 0) - end
            self.block = rest + self.source.take(min(max(count - len(rest), _BLOCK), left))
        piece = self.block[self.at : self.at + count]
        self.at += len(piece)
        return piece

    def readline(self) -> bytes:
        """The next bytes up to the end of the line."""
        line = self.read(_LONGEST_LINE)
        length = line.find(b"\n") + 1 or len(line)
        self.at -= len(line) - length
        return line[:length]


class Machine:
    """Runs pickles.

    Args:
        names: what the names mean that a pickle may use: from "module name" to a `Maker` or a plain value.
        persistent: gives the object for a persistent id, by which pickles refer to data outside of them.
        unknown: makes the error for another name.
    """

    def __init__(
        self,
        names: Mapping[str, Any],
        persistent: Callable[[Any], Any] | None = None,
        unknown: Callable[[str], Refused] = lambda name: Refused(f"it names {name}"),
    ) -> None:
        self.names, self.persistent, self.unknown = names, persistent, unknown
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def run(self, stream: Any) -> Any:
        """The object of the pickle that begins at the position of a stream; the stream is then at its end.

        Raises:
            Refused: the pickle is no plain data, or too much.
            Exception: of any type: it is damaged.
        """
        self.stack, self.marks, self.memo, self.work = [], [], {}, 0
        for instruction, argument, place in pickletools.genops(stream):
            name = instruction.name
            self._pay(1)
            if name in _VALUES:
                if type(argument) is int and argument.bit_length() > _LONGEST_INT:
                    raise Refused(f"it has an integer of {argument.bit_length()} bits")
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name == "STOP":
                return self.stack.pop()
            elif (step := _STEPS.get(name)) is not None:
                step(self, argument)
            else:
                raise Refused(f"it has the instruction {name} at byte {place}, which plain data do not need")
        raise Refused("it has no end")

    def _pay(self, work: int) -> None:
        self.work += work
        if self.work > _MOST_WORK:
            raise Refused(f"it takes more than {_MOST_WORK:,} steps; save long lists of numbers as tensors")

    def _since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        parts = self.stack[mark:]
        del self.stack[mark:]
        return parts

    def _set_one(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _dict(self) -> None:
        parts = self._since_mark()
        self.stack.append({})
        self._set(parts)

    def _append(self, parts: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise Refused(f"it appends to a {_kind(self.stack[-1])}")
        self.stack[-1].extend(parts)

    def _set(self, parts: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter):
            raise Refused(f"it puts a key into a {_kind(target)}")
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            target[_key(key)] = value

    def _add(self, parts: list[Any]) -> None:
        if type(self.stack[-1]) is not set:
            raise Refused(f"it adds to a {_kind(self.stack[-1])}, which is no set")
        self.stack[-1].update(map(_key, parts))

    def _name(self, name: str) -> None:
        if name not in self.names:
            raise self.unknown(name.replace(" ", "."))
        self.stack.append(self.names[name])

    def _name_on_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise Refused("it names a function by something else than text")
        self._name(f"{module} {name}")

    def _call(self) -> None:
        arguments, maker = self.stack.pop(), self.stack.pop()
        if type(maker) is not Maker or type(arguments) is not tuple:
            raise Refused(f"it calls a {_kind(maker)} with a {_kind(arguments)}")
        self._pay(maker.work + sum(len(a) for a in arguments if isinstance(a, (list, tuple, dict))))
        self.stack.append(maker.make(*arguments))

    def _build(self) -> None:
        """Attributes of an OrderedDict: of a state dict, the versions of its modules. Others are left out."""
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is not OrderedDict or type(state) is not dict:
            raise Refused(f"it sets attributes of a {_kind(target)} from a {_kind(state)}")
        versions = state.get("_metadata")
        if isinstance(versions, dict) and all(type(k) is str and type(v) is dict for k, v in versions.items()):
            target._metadata = versions  # type: ignore[attr-defined]

    def _refer(self) -> None:
        if self.persistent is None:
            raise Refused("it refers to data outside")
        self.stack.append(self.persistent(self.stack.pop()))

    def _pair(self, count: int) -> None:
        parts = self.stack[-count:]
        if len(parts) < count:
            raise Refused("its stack is empty")
        self.stack[-count:] = [tuple(parts)]


def ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    """What `collections.OrderedDict` in a pickle makes; pickles of Python 2 have a list of pairs as argument."""
    if type(items) not in (list, tuple):
        raise Refused(f"an OrderedDict of a {_kind(items)}")
    return OrderedDict((_key(key), value) for key, value in items)


def collected(items: Any = ()) -> set[Any]:
    """What `set` in a pickle makes."""
    if type(items) not in (list, tuple):
        raise Refused(f"a set of a {_kind(items)}")
    return set(map(_key, items))


def counted(items: Any = ()) -> Counter[Any]:
    """What `collections.Counter` in a pickle makes."""
    if type(items) is tuple and not items:
        return Counter()
    if type(items) is not dict or not all(type(count) is int for count in items.values()):
        raise Refused(f"a Counter of a {_kind(items)}")
    return Counter(items)


def encoded(text: Any, encoding: Any) -> bytes:
    """What `_codecs.encode` in a pickle makes: bytes, which the pickle has as text."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Refused(f"bytes from a {_kind(text)} by {encoding!r}")
    return text.encode("latin-1")


def as_bytes(*content: Any) -> bytes:
    """What `bytes` in a pickle makes: nothing but empty ones are written so."""
    if content:
        raise Refused(f"bytes of a {_kind(content[0])}")
    return b""


def as_bytearray(*content: Any) -> bytearray:
    """What `bytearray` in a pickle makes, from bytes, or from text and the encoding."""
    if len(content) == 2:
        return bytearray(encoded(*content))
    if len(content) > 1 or (content and type(content[0]) is not bytes):
        raise Refused(f"a bytearray of a {_kind(content[0])}")
    return bytearray(*content)


def as_complex(real: Any, imaginary: Any) -> complex:
    """What `complex` in a pickle makes."""
    if type(real) is not float or type(imaginary) is not float:
        raise Refused(f"a complex number of a {_kind(real)} and a {_kind(imaginary)}")
    return complex(real, imaginary)


def not_plain(value: Any, leaves: tuple[type, ...]) -> Any:
    """The first part that is neither a container nor of one of the types of `leaves`; None if there is none.

    Without recursion, and each container once: they may be nested to any depth, and contain themselves.
    """
    waiting, seen = [value], set[int]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, (dict, list, tuple, set)):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.extend(part.values() if isinstance(part, dict) else part)
        elif part is not None and not isinstance(part, leaves):
            return part
    return None


def _key(key: Any) -> Any:
    """A key, after checking that to hash it is quick and calls nothing."""
    parts = key if type(key) in (tuple, Size) and len(key) <= _LONGEST_KEY else (key,)
    if not all(type(part) in _ATOMS for part in parts):
        raise Refused(f"a {_kind(key)} is a key")
    return key


def _kind(value: Any) -> str:
    return value.name if type(value) is Maker else type(value).__name__


_STEPS: dict[str, Callable[[Machine, Any], Any]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.marks.pop() if m.marks and m.marks[-1] == len(m.stack) else m.stack.pop(),
    "POP_MARK": lambda m, _: m._since_mark(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_SET": lambda m, _: m.stack.append(set()),
    "LIST": lambda m, _: m.stack.append(m._since_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m._since_mark())),
    "TUPLE1": lambda m, _: m._pair(1),
    "TUPLE2": lambda m, _: m._pair(2),
    "TUPLE3": lambda m, _: m._pair(3),
    "DICT": lambda m, _: m._dict(),
    "APPEND": lambda m, _: m._append([m.stack.pop()]),
    "APPENDS": lambda m, _: m._append(m._since_mark()),
    "SETITEM": lambda m, _: m._set_one(),
    "SETITEMS": lambda m, _: m._set(m._since_mark()),
    "ADDITEMS": lambda m, _: m._add(m._since_mark()),
    "PUT": lambda m, place: m.memo.__setitem__(place, m.stack[-1]),
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "GET": lambda m, place: m.stack.append(m.memo[place]),
    "GLOBAL": lambda m, name: m._name(name),
    "STACK_GLOBAL": lambda m, _: m._name_on_stack(),
    "REDUCE": lambda m, _: m._call(),
    "BUILD": lambda m, _: m._build(),
    "BINPERSID": lambda m, _: m._refer(),
}
for _short, _long in (("BINPUT", "PUT"), ("LONG_BINPUT", "PUT"), ("BINGET", "GET"), ("LONG_BINGET", "GET")):
    _STEPS[_short] = _STEPS[_long]
