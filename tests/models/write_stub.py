"""Writes `minicnn/models/__init__.pyi`, from which editors and type checkers know the names of the lazy package.

Run it after a change of the registry, in the folder of the project: python tests/models/write_stub.py
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from minicnn import models
from minicnn.models.published import ENUMS
from minicnn.models.registry import CLASSES, MODELS

PATH = Path(models.__file__).parent / "__init__.pyi"
_HEAD = '''"""The names of `minicnn.models` for type checkers; written by tests/models/write_stub.py."""

'''
_ALWAYS = {
    "lookup": ["get_model", "get_model_builder", "list_models", "register_model"],
    "published": ["WeightsEnum", "get_model_weights", "get_weight"],
    "weights": ["load_weights"],
}


def defined(file: str) -> set[str]:
    """The functions and classes in a file; none if it does not exist."""
    path = PATH.parent / f"{file}.py"
    body = ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def natural(name: str) -> list[tuple[int, str]]:
    """The order of imports: resnet50 is before resnet101."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def stub() -> str:
    """The text, with what exists of the registry."""
    files = {file: list(names) for file, names in (_ALWAYS | CLASSES).items()}
    for name, entry in MODELS.items():
        files.setdefault(entry.file, []).append(name)
    lines = [
        f"from .{file} import {name} as {name}"
        for file, names in sorted(files.items())
        for name in sorted(set(names) & defined(file), key=natural)
    ]
    enums = [f"{enum}: type[WeightsEnum]" for enum in sorted(ENUMS)]
    return _HEAD + "\n".join(lines) + "\n\n" + "\n".join(enums) + "\n"


if __name__ == "__main__":
    PATH.write_text(stub(), encoding="utf-8")
