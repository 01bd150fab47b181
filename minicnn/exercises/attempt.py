"""One call of an answer, whatever it does: what it returned, or how it failed, as plain data."""

from __future__ import annotations

import builtins
import contextlib
import io
import re
import sys
import traceback
import types
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from .exercise import Case, Exercise, copied

_MOST_TEXT = 2000  # characters of printed output that are kept
_MOST_NUMBERS = 100_000  # of a result


@dataclass(frozen=True)
class Outcome:
    """What an answer did in one case.

    Attributes:
        outputs: what it returned, an array for each output; None if it did not get so far.
        problem: why there are no outputs, or what else is wrong; "" if nothing is.
        line: where it happened in the answer, "line 12: total += x[p, q]"; "" if that is not known.
        printed: what it printed.
        shared: the names of outputs that share memory with an argument.
        unwritten: whether it is not written yet.
    """

    outputs: tuple[Array, ...] | None
    problem: str = ""
    line: str = ""
    printed: str = ""
    shared: tuple[str, ...] = ()
    unwritten: bool = False


class _Kept(io.StringIO):
    """A stream that keeps the first characters that are written to it."""

    def write(self, text: str) -> int:
        """Keep the text, if there is room."""
        room = _MOST_TEXT - self.tell()
        if room > 0:
            super().write(text[:room])
        return len(text)


class Unusable(Exception):
    """A file without an answer; the text says why."""


@contextlib.contextmanager
def quiet(kept: io.StringIO) -> Any:
    """Keep what is printed, and no warnings: numbers decide."""
    with (
        contextlib.redirect_stdout(kept), contextlib.redirect_stderr(kept), warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        yield


def load(path: Path) -> dict[str, Any]:
    """Run the file of an answer and return its names.

    Raises:
        Unusable: it cannot be read, or it fails.
    """
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        line = getattr(error, "lineno", None)
        text = (getattr(error, "text", None) or "").strip()
        at = f"line {line}: {text}" if line else "the file"
        raise Unusable(f"this is no Python: {getattr(error, 'msg', None) or error}, in {at}") from None
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    module = types.ModuleType("answer")
    module.__file__ = str(path)
    sys.modules["answer"] = module  # dataclasses look for it
    sys.path.insert(0, str(path.parent))
    kept = _Kept()
    try:
        with quiet(kept):
            exec(code, module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        line = _line(error, str(path))
        printed = f"; it printed: {kept.getvalue().strip()}" if kept.getvalue().strip() else ""
        raise Unusable(f"the file fails before any function is called: {_text(error)}, in {line}{printed}") from None
    return module.__dict__


def attempt(exercise: Exercise, answer: Any, case: Case) -> Outcome:
    """Call an answer with copies of the arguments of a case."""
    args, kept = copied(case.args), _Kept()
    try:
        with quiet(kept):
            returned = exercise.call(answer, args)
    except KeyboardInterrupt:
        raise
    except NotImplementedError as error:
        why = f": {error}" if str(error) else ""
        return Outcome(None, f"it is not written yet{why}", "", kept.getvalue(), (), True)
    except BaseException as error:
        return Outcome(None, _text(error), _line(error, _file_of(answer)), kept.getvalue())
    changed = [name for name, value in case.args.items() if not _equal(value, args[name])]
    outputs, problem = _outputs(exercise, returned)
    shared: tuple[str, ...] = ()
    if outputs is not None:
        given = [value for value in args.values() if isinstance(value, np.ndarray)]
        pairs = zip(exercise.outputs, outputs, strict=True)
        shared = tuple(name for name, a in pairs if a.ndim and any(np.may_share_memory(a, b) for b in given))
        outputs = tuple(np.array(a) for a in outputs)
    if changed and not problem:
        problem = (
            f"it has changed its argument {' and '.join(changed)}; work on a copy: {changed[0]} = {changed[0]}.copy()"
        )
    return Outcome(outputs, problem, "", kept.getvalue(), shared)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=True))
    return a is b or bool(a == b)


def _outputs(exercise: Exercise, returned: Any) -> tuple[tuple[Array, ...] | None, str]:
    """What was returned as arrays; or None, and why it is no answer."""
    names = exercise.outputs
    wanted = ", ".join(names)
    if returned is None:
        return None, f"it returns nothing (None); is `return {wanted}` missing?"
    if len(names) == 1:
        returned = (returned,)
    elif not isinstance(returned, tuple | list):
        return None, f"it returns one {type(returned).__name__} and must return {len(names)} values: return {wanted}"
    if len(returned) != len(names):
        return None, f"it returns {len(returned)} values and must return {len(names)}: return {wanted}"
    found = []
    for name, value in zip(names, returned, strict=True):
        array, problem = _array(name, value, exercise.whole)
        if array is None:
            return None, problem
        found.append(array)
    return tuple(found), ""


def _array(name: str, value: Any, whole: bool) -> tuple[Array | None, str]:
    """One output as an array; or None, and what is wrong with it."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, np.ndarray) and value.dtype.kind == "b"):
        return None, f"{name} is True or False, and must be numbers"
    if isinstance(value, int | float | np.number):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        kind = type(value).__name__
        remedy = (
            f"np.array({name})"
            if isinstance(value, list | tuple)
            else f"{name}.numpy()"
            if hasattr(value, "numpy")
            else ""
        )
        remedy = f"return {remedy}" if remedy else "return numbers"
        return None, f"{name} is a {kind}, and must be {'a number' if whole else 'a NumPy array'}; {remedy}"
    if value.dtype.kind not in "fiu":
        return None, f"{name} has the type {value.dtype}, and must have real numbers (float64)"
    if value.size > _MOST_NUMBERS:
        return None, f"{name} has the shape {value.shape}, {value.size:,} numbers"
    return np.asarray(value), ""


def _text(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, SystemExit):
        return "it ends the program (sys.exit or exit); use return"
    if isinstance(error, RecursionError):
        return "RecursionError: it calls itself too often; use a loop, or a list as a stack"
    message = " ".join(str(error).split())
    message = re.sub(r" at 0x[0-9a-f]+", "", message)  # an address is another at each run
    return f"{type(error).__name__}: {message[:300]}" if message else type(error).__name__


def _file_of(answer: Any) -> str:
    """The file that an answer is written in; "" if it is not known."""
    code = getattr(answer, "__code__", None)
    if code is None:
        methods = (
            [value.__code__ for value in vars(answer).values() if hasattr(value, "__code__")]
            if isinstance(answer, type)
            else []
        )
        code = methods[0] if methods else None
    return code.co_filename if code else ""


def _line(error: BaseException, file: str) -> str:
    """The line of the answer where it happened: the last one that is in its file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not frames:
        return ""
    return f"line {frames[-1].lineno}: {frames[-1].line or ''}".rstrip(": ")


def answer_of(names: dict[str, Any], exercise: Exercise) -> Any:
    """The function or class of an answer.

    Raises:
        Unusable: there is none, or it takes other arguments.
    """
    import difflib
    import inspect

    kind = "class" if inspect.isclass(exercise.solution) else "function"
    answer = names.get(exercise.entry)
    if answer is None:
        own = [
            name for name, value in names.items() if callable(value) and getattr(value, "__module__", "") == "answer"
        ]
        near = difflib.get_close_matches(exercise.entry, own, 1, 0.3) or own[:1]
        hint = f"; it has {near[0]}: give it the name again" if near else ""
        raise Unusable(f"the file has no {kind} {exercise.entry}{hint}")
    check_signature(answer, exercise)
    return answer


def check_signature(answer: Any, exercise: Exercise) -> None:
    """Check that an answer can be called.

    Raises:
        Unusable: it is no function, or it takes other arguments.
    """
    import inspect

    if not builtins.callable(answer) or (inspect.isclass(exercise.solution) and not inspect.isclass(answer)):
        kind = "class" if inspect.isclass(exercise.solution) else "function"
        raise Unusable(f"{exercise.entry} is no {kind}, but {type(answer).__name__}")
    if not exercise.parameters:
        return
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*exercise.parameters)
    except TypeError:
        plain = [p.replace(default=p.empty, annotation=p.empty) for p in signature.parameters.values()]
        own = str(inspect.Signature(plain))  # shows a * before names that cannot be given by position
        wanted = ", ".join(exercise.parameters)
        raise Unusable(f"{exercise.entry} takes {own}, and must take ({wanted})") from None
    first = list(signature.parameters)[: len(exercise.parameters)]
    if first != exercise.parameters and sorted(first) == sorted(exercise.parameters):
        own, wanted = ", ".join(first), ", ".join(exercise.parameters)
        raise Unusable(f"{exercise.entry} takes ({own}), and must take ({wanted}), in this order")
