"""Layers: modules with parameters, with PyTorch's names."""

from __future__ import annotations

from ..compat.missing import answer as _answer
from ..compat.nn import modules
from . import functional, grad, init, parallel, utils
from .activation import *
from .batchnorm import *
from .blocks import *
from .container import *
from .conv import *
from .distance import *
from .dropout import *
from .embedding import *
from .fold import *
from .lazy import *
from .linear import *
from .loss import *
from .module import *
from .multihead_attention import *
from .normalization import *
from .padding import *
from .parallel import *
from .parameter import *
from .parameter_container import *
from .pixel_shuffle import *
from .pooling import *
from .pooling3d import *
from .renormalization import *
from .softmax import *
from .transformer import *
from .upsampling import *

_answer(globals())
