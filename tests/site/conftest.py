"""The modules of docs/extensions can be imported; the site is what `python docs/build.py` has built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "extensions"))


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the pages."""
    folder = ROOT / "build" / "docs" / "html"
    if not (folder / "objects.inv").is_file():
        pytest.skip("the site is not built; run: python docs/build.py")
    return folder
