"""Layers: modules with parameters, under PyTorch's names."""

from __future__ import annotations

from ..missing import answer as _answer
from . import functional, grad, init, modules, parallel, utils
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

_answer(globals())
