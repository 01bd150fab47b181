"""Helpers for modules: clipping gradients, parameters as one vector, folding, weights computed from other tensors."""

# ruff: noqa: F401, F403 - each file lists its names in __all__

from __future__ import annotations

from typing import Any

from ...compat.missing import answer as _answer
from . import parametrizations, parametrize, prune, rnn, stateless
from .clip_grad import *
from .convert_parameters import *
from .fusion import *
from .init import *
from .reparametrization import *

_answer(globals())
