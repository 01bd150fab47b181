"""Programs written for PyTorch, and how minicnn runs them: after one substitution.

sed -E 's/\\b(torchvision|torchsummary|torch)\\b/minicnn/g'
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

FOLDER = Path(__file__).parent
NETS = ["alexnet_bn", "inception", "residual", "vgg", "mobile", "densenet"]  # each defines model, INPUT, n_parameters


def substituted(source: str) -> str:
    """A program for PyTorch as a program for minicnn."""
    return re.sub(r"\b(torchvision|torchsummary|torch)\b", "minicnn", source)


def run(name: str, library: str = "minicnn") -> SimpleNamespace:
    """Run a program of this folder in "minicnn" or, as it stands, in "torch", and give its global names."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    names = {"__name__": name}
    exec(compile(substituted(source) if library == "minicnn" else source, f"{name}.py", "exec"), names)
    return SimpleNamespace(**names)
