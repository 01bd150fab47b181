"""Python functions of numbers in C++: they give the same numbers, and what cannot be translated raises an error."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels.emulated.raw_module import RawModule
from minicnn_kernels.translation import TranslationError, functions

HEAD = """
import math
from typing import Any

PLAIN: dict[str, Any] = {}
TWO, THIRD, NAME = 2, 1 / 3, "a"
LARGE, MOST, NONE = 2**40, math.inf, math.nan


def scalar(function):
    PLAIN[function.__name__] = function
    return function


@scalar
def called(op: int, x: float) -> float:
    if op == TWO:
        return x * THIRD
    elif op in (3, 4) or op >= 5:
        s = -x
        return s - 1
    else:
        s, t = x, 2 * x
        return s / t


"""
HEADERS = Path(functions.__code__.co_filename).parent / "device"
VALUES = [-2.5, -1.0, -0.0, 0.0, 0.3, 1.0, 4.0, 1e30, math.inf, -math.inf, math.nan]


BODIES = [
    '    """The docstring.\n\n    More of it."""\n    return x',
    "    return -x + 2 * x - x / 3 - (x - 1) * 0.5",
    "    return 1.0 if x < 0 else 2.0 if x > 0 else 3.0 if x == 0 else math.nan",
    "    return 1 if -1 <= x < 1 and x != 0 or not x > -2 else math.inf",
    "    return max(x, 0.0) + 2 * max(0.0, x) + 4 * min(x, 1.0) + 8 * min(1.0, x)",
    "    return max(x, 0.0)",
    "    return min(1.0, x)",
    "    return abs(x) + math.exp(-abs(x)) + math.tanh(x) + math.erfc(x)",
    "    return math.expm1(min(x, 0.0)) + math.log1p(math.exp(-abs(x))) + math.sqrt(abs(x)) + math.log(1 + abs(x))",
    "    s, t = x + 1, x - 1\n    return s * t",
    "    if x > 0:\n        s = x\n        return s * s\n    if x < -1:\n        s = 2\n        return s\n    return x",
    "    return called(TWO, x) + called(3, x) + called(7, x) + called(0, 1.0)",
    "    return THIRD * TWO",
    '    """Up to a backslash \\\\\n    """\n    return x',
    "    return x * LARGE",
    "    return min(max(x, -MOST), 1e999)",
    "    return NONE",
    "    if x > 0:\n        return 1\n    elif x < 0:\n        return -1\n    else:\n        return x",
]


def module(folder: Path, *definitions: str) -> Any:
    """A module with the head and these functions."""
    path = folder / "formulas.py"
    path.write_text(HEAD + "".join(f"@scalar\n{text}\n\n\n" for text in definitions), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("some.formulas", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_same_numbers(kind: Any, tmp_path: Path) -> None:
    made = module(tmp_path, *(f"def f{i}(x: float) -> float:\n{body}" for i, body in enumerate(BODIES)))
    calls = "".join(f"y[{i} * blockDim.x + at] = formulas::f{i}<T>(x[at]);\n" for i in range(len(BODIES)))
    kernel = "template <typename T>\n__global__ void run(const T* x, T* y) {\nint at = threadIdx.x;\n" + calls + "}\n"
    names, options = ("run<float>", "run<double>"), (f"-I{HEADERS}",)
    run = RawModule(code=functions(made) + kernel, options=options, name_expressions=names)
    x = np.array(VALUES, kind)
    found = np.empty((len(BODIES), len(x)), kind)
    run.get_function(names[kind is np.float64])((1,), (len(x),), (x, found))
    for i, y in enumerate(found):
        with np.errstate(over="ignore"):
            expected = np.array([made.PLAIN[f"f{i}"](float(v)) for v in x]).astype(kind)
        np.testing.assert_allclose(y, expected, 1e-5 if kind is np.float32 else 1e-13, err_msg=BODIES[i])


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("    return x ** 2", "'x ** 2'"),
        ("    return x // 2", "'x // 2'"),
        ("    return math.gamma(x)", "the call 'math.gamma(x)'"),
        ("    return max(x, 0.0, 1.0)", "the call 'max(x, 0.0, 1.0)'"),
        ("    return called(x)", "the call 'called(x)'"),
        ("    return called(x, x)", "'x' where an int is needed"),
        ("    return called(op=2, x=x)", "'called(op=2, x=x)'"),
        ("    return unknown", "'unknown'"),
        ("    return NAME", "'NAME'"),
        ("    return x > 0", "'x > 0'"),
        ("    return True", "'True'"),
        ("    return 1 if x else 2", "the condition 'x'"),
        ("    return 1 if x is THIRD else 2", "the condition 'x is THIRD'"),
        ("    return 1 if x in [2] else 2", "the condition 'x in [2]'"),
        ("    x = 2\n    return x", "the assignment 'x = 2', not to new names"),
        ("    s = 1\n    s, t = x, s\n    return t", "the assignment 's, t = (x, s)', not to new names"),
        ("    s, t = t, s\n    return t", "'t'"),
        ("    if x > 0:\n        s = 1\n    return s", "'s'"),
        ("    s += x\n    return s", "the statement 's += x'"),
        ("    for i in range(3):\n        pass\n    return x", "the statement 'for i in range(3):'"),
        ("    return", "the statement 'return'"),
        ("    s: float = x\n    return s", "the statement 's: float = x'"),
        ("    s = x", "a path without a return"),
        ("    if x > 0:\n        return 1", "a path without a return"),
        ("    if x > 0:\n        return 1\n    elif x < 0:\n        return 2", "a path without a return"),
        ("    return 1 if x in () else 2", "the condition 'x in ()'"),
        ("    return f(x - 1) if x > 0 else x", "the call 'f(x - 1)', but no function of that name further up,"),
        ("    return later(x)", "the call 'later(x)', but no function of that name further up,"),
        ("    double = x\n    return double", "the name 'double', which is taken in C++ or cannot be one,"),
        ("    T = x\n    return T", "the name 'T', which is taken in C++ or cannot be one,"),
        ("    exp = x\n    return math.exp(exp)", "the name 'exp', which is taken in C++ or cannot be one,"),
        ("    s\u00fc = x\n    return s\u00fc", "the name 's\u00fc', which is taken in C++ or cannot be one,"),
        ("    called = x\n    return called", "the name 'called', which is that of a function above,"),
        (f"    return {10**400}", "an int that is too large for a float,"),
        (f"    return called({2**31}, x)", "where an int is needed"),
    ],
)
def test_what_cannot_be_translated(body: str, what: str, tmp_path: Path) -> None:
    later = "def later(x: float) -> float:\n    return x"
    made = module(tmp_path, f"def f(x: float) -> float:\n{body}", later)
    with pytest.raises(TranslationError) as found:
        functions(made)
    assert "f() has " in str(found.value) and f"{what}, which is not translated to C++" in str(found.value)


def test_an_error_names_the_line(tmp_path: Path) -> None:
    made = module(tmp_path, "def f(x: float) -> float:\n    s = x\n    return s % 2")
    with pytest.raises(TranslationError, match=f"formulas.py, line {HEAD.count(chr(10)) + 4}: "):
        functions(made)


@pytest.mark.parametrize(
    "head",
    [
        "def f(x: float, y=1) -> float:",
        "def f(x) -> float:",
        "def f(x: float):",
        "def f(x: float) -> int:",
        "def f(*x: float) -> float:",
        "def f(x: str) -> float:",
        "def f(short: float) -> float:",
        "def double(x: float) -> float:",
    ],
)
def test_parameters_and_results_are_annotated(head: str, tmp_path: Path) -> None:
    with pytest.raises(TranslationError, match=r"\(\) has (a |parameters|the name)"):
        functions(module(tmp_path, f"{head}\n    return 1.0"))


def test_what_has_no_decorator_is_left_out(tmp_path: Path) -> None:
    assert "called" in functions(module(tmp_path)) and "void scalar" not in functions(module(tmp_path))
