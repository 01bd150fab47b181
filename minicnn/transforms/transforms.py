"""torchvision's name of the file that has most transforms: programs import from it."""

from __future__ import annotations

from ..compat.missing import answer as _answer
from . import *  # noqa: F403
from . import __all__ as __all__

_answer(globals())
