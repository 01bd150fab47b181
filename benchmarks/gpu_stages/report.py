"""Results as text: what is printed at the end of a stage, and the page beside the file of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any


def ending(name: str, found: dict[str, Any]) -> str:
    """How a stage ended, in a line."""
    failed = [case for case, result in found["cases"].items() if "error" in result]
    done = len(found["cases"]) - len(failed)
    text = (
        f"== {name}: {found['status']}, {found['seconds']:.0f} s, {done} of {done + len(failed) + len(found['left'])}"
    )
    text += f"; failed: {', '.join(failed)}" if failed else ""
    text += f"; not reached: {', '.join(found['left'])}" if found["left"] else ""
    return text + (f"; {found['why']}" if found.get("why") else "")


def page(data: dict[str, Any], stages: Iterable[Any]) -> str:
    """All results, in Markdown."""
    head = [f"{name}: {value}" for name, value in data.items() if name != "stages"]
    lines = ["# minicnn on a GPU, measured", "", *(f"- {text}" for text in head), ""]
    modules = {stage.name: stage.module for stage in stages}
    for name, found in data["stages"].items():
        lines += [f"## {name}", "", ending(name, found).removeprefix("== "), ""]
        if name in modules:
            lines += [*table(modules[name], found["cases"], data["stages"]), ""]
        for case, result in found["cases"].items():
            said = result.get("error") or result.get("skipped")
            if said:
                words = " ".join(str(said).split())
                lines.append(f"- {'**failed**' if 'error' in result else 'skipped'}: {case}: {words[:1500]}")
        lines.append("")
    return "\n".join(lines)


def table(module: str, cases: dict[str, Any], stages: dict[str, Any]) -> list[str]:
    """The table of a stage's module."""
    made = getattr(import_module(module), "table", None)
    lines: list[str] = made(cases, stages) if made is not None and cases else []
    return lines


def summary(data: dict[str, Any]) -> str:
    """The last lines of a run: how each stage ended, and the ratios against PyTorch with their targets."""
    from . import calls

    stages = data["stages"]
    lines = ["", *(ending(name, found) for name, found in stages.items())]
    lines += calls.summary(stages.get("calls", {}).get("cases", {}))
    for name, case in stages.get("steps", {}).get("cases", {}).items():
        if case.get("ratio"):
            lines.append(f"training step of {name}: {case['ratio']:.2f}x PyTorch eager")
    return "\n".join(lines)
