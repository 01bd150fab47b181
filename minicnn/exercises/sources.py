"""The texts of an exercise: the stub that a student fills in, and the solution, cut out of the tested source.

A solution is a function of `solutions/` and all functions of the library that it calls, with the file and line of each.
What only prepares (shapes, types of arrays) is imported, so that the printed solution runs as it is.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import minicnn_kernels

from .exercise import Exercise

ROOTS = {"minicnn": Path(__file__).parents[1].parent, "minicnn_kernels": Path(minicnn_kernels.__file__).parents[1]}
_IMPORTED = (
    "minicnn_kernels.geometry", "minicnn_kernels.arrays", "minicnn_kernels.layout", "minicnn_kernels.runtime",
    "minicnn_kernels.dispatch",
)  # fmt: skip


def place(thing: Any) -> tuple[Path, int]:
    """The file of a function or class, and the line where it begins."""
    return Path(inspect.getsourcefile(thing) or ""), inspect.getsourcelines(thing)[1]


def _shown(path: Path) -> str:
    """A path in the project, with the folder of its package."""
    for package, root in ROOTS.items():
        if path.is_relative_to(root / package):
            inside = path.relative_to(root)
            return (Path("kernels") / inside if package == "minicnn_kernels" else inside).as_posix()
    return path.as_posix()


def where(exercise: Exercise) -> str:
    """Where the solution is in the library: the first function that does the work, as "path:line"."""
    parts = _parts(exercise.solution)[1:]
    path, line = place(parts[0] if parts else exercise.solution)
    return f"{_shown(path)}:{line}"


def solution(exercise: Exercise) -> str:
    """The solution as a program, cut out of the library."""
    parts = _parts(exercise.solution)
    imports, constants = _needed(parts)
    head = f'"""The solution of {exercise.name}, cut out of minicnn."""\n\nfrom __future__ import annotations\n\n'
    blocks = []
    for number, part in enumerate(parts):
        path, line = place(part)
        text = _without_docstring(part) if number == 0 else textwrap.dedent(inspect.getsource(part))
        blocks.append(f"# {_shown(path)}:{line}\n{text.rstrip()}")
    return (
        head + "\n".join([*imports, *([""] if constants else []), *constants]) + "\n\n\n" + "\n\n\n".join(blocks) + "\n"
    )


def _without_docstring(thing: Any) -> str:
    """The source without its docstring, which is the statement of the exercise."""
    lines = textwrap.dedent(inspect.getsource(thing)).splitlines()
    node = ast.parse("\n".join(lines)).body[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    first = node.body[0]
    assert first.end_lineno is not None
    return "\n".join(lines[: first.lineno - 1] + lines[first.end_lineno :])


def _parts(thing: Any) -> list[Any]:
    """A function or class, and all functions of the library that it calls, directly or through others."""
    found, queue = [thing], [thing]
    for one in queue:
        for value in _names(one).values():
            own = isinstance(value, types.FunctionType) and value.__module__.split(".")[0] in ROOTS
            if own and value not in found and not value.__module__.startswith(_IMPORTED):
                found.append(value)
                queue.append(value)
    return found


def _names(thing: Any) -> dict[str, Any]:
    """What the global names in the body of a function or class stand for."""
    space = vars(inspect.getmodule(thing))
    found: dict[str, Any] = {}
    for node in _code(ast.parse(textwrap.dedent(inspect.getsource(thing)))):
        if isinstance(node, ast.Name) and node.id in space and space[node.id] is not thing:
            found[node.id] = space[node.id]
    return found


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes without those of annotations, which are not run."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _code(child)


def _needed(parts: list[Any]) -> tuple[list[str], list[str]]:
    """The imports and the constants that the parts need."""
    imports, constants = set(), set()
    for part in parts:
        for name, value in _names(part).items():
            if value in parts if callable(value) else False:
                continue
            if isinstance(value, types.ModuleType):
                package, _, last = value.__name__.rpartition(".")
                text = f"from {package} import {last}" if package else f"import {value.__name__}"
                imports.add(text if last == name else f"import {value.__name__} as {name}")
            elif isinstance(value, int | float | str):
                constants.add(f"{name} = {value!r}")
            else:
                imports.add(f"from {value.__module__} import {name}")
    return sorted(imports, key=lambda text: (text.startswith("from"), text)), sorted(constants)


# ---------------------------------------------------------------------------------------------------------------- stub


def stub(exercise: Exercise) -> str:
    """The file that a student fills in: the statement, and hints."""
    statement = inspect.getdoc(exercise.solution) or ""
    lines = [
        f"# Exercise: {exercise.name} ({exercise.topic}, {'*' * exercise.level})",
        "# Fill in what is missing, in plain Python or NumPy, and check it:",
        f"#     minicnn exercise check {exercise.name}.py",
        "# Keep the names. Arrays come as float64 (once as float32); do not write into the arguments.",
        "",
    ]
    if inspect.isclass(exercise.solution):
        lines += ["from __future__ import annotations", "", "", *_class_stub(exercise), ""]
    else:
        doc = textwrap.indent(f'"""{statement}\n"""', "    ", lambda line: line != "\n")
        lines += [
            "import numpy as np", "", "", f"def {exercise.entry}({', '.join(exercise.parameters)}):", doc,
            *_hints(exercise, "    "), f'    raise NotImplementedError("write {exercise.entry}")',
        ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _hints(exercise: Exercise, indent: str) -> list[str]:
    """The hints as comments."""
    lines = []
    for number, hint in enumerate(exercise.hints, 1):
        lines += textwrap.wrap(
            f"Hint {number}: {hint}", 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   "
        )
    return lines


def _class_stub(exercise: Exercise) -> list[str]:
    """The class, where the methods that have a docstring are to be written."""
    lines = inspect.getsource(exercise.solution).splitlines()
    node = ast.parse("\n".join(lines)).body[0]
    assert isinstance(node, ast.ClassDef)
    found, at = [], 0
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and ast.get_docstring(method) is not None:
            end = method.body[0].end_lineno
            assert end is not None and method.end_lineno is not None
            found += lines[at:end]
            found.append(f'        raise NotImplementedError("write {node.name}.{method.name}")')
            at = method.end_lineno
    return [*_hints(exercise, ""), *found, *lines[at:]]
