"""The modules of docs/extensions can be imported; the site is what `python docs/build.py` has built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("docs/**/*.md", "docs/**/*.py", "notebooks/*.ipynb", "minicnn/**/*.py", "kernels/minicnn_kernels/**/*.py")
sys.path.insert(0, str(ROOT / "docs" / "extensions"))


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the pages."""
    folder = ROOT / "build" / "docs" / "html"
    built = folder / "objects.inv"
    if not built.is_file():
        pytest.skip("the site is not built; run: python docs/build.py")
    sources = [path for pattern in SOURCES for path in ROOT.glob(pattern)]
    if max(path.stat().st_mtime for path in sources) > built.stat().st_mtime:
        pytest.skip("the site is older than what it is made of; run: python docs/build.py")
    return folder
