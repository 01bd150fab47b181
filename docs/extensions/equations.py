"""Equations without a network: the part of MathJax that pages need is copied beside them.

The package sphinx-mathjax-offline brings MathJax; its own set-up would copy ten times as much.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

PARTS = ("tex-chtml.js", "output/chtml", "input/tex/extensions")


def copy(app: Any, error: Exception | None) -> None:
    """Copy MathJax into the static files of a site that has been built."""
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    if error is not None or found is None or found.origin is None:
        return
    source, target = Path(found.origin).parent / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, target / part)


def setup(app: Any) -> dict[str, Any]:
    """Connect with Sphinx."""
    app.connect("config-inited", lambda app, config: setattr(config, "mathjax_path", "mathjax/tex-chtml.js"))
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
