"""`minicnn.version`: as programs print it."""

from __future__ import annotations

__version__ = "0.1.0"
cuda = hip = git_version = None
debug = False
