"""Layers: modules with parameters, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from ..missing import unknown
from . import functional, init, modules, parallel, utils
from .activation import *
from .batchnorm import *
from .blocks import *
from .container import *
from .conv import *
from .distance import *
from .dropout import *
from .fold import *
from .lazy import *
from .linear import *
from .loss import *
from .module import *
from .normalisation import *
from .padding import *
from .parallel import *
from .parameter import *
from .parameter_container import *
from .pooling import *
from .renormalisation import *
from .shuffle import *
from .softmax import *
from .upsampling import *


def __getattr__(name: str) -> Any:
    raise unknown("minicnn.nn", name, globals())
