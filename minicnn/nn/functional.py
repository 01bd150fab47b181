"""Layers as functions, with PyTorch's names; the functions are defined in `minicnn.ops`."""

from __future__ import annotations

from ..compat.missing import answer as _answer
from ..ops.activation import *
from ..ops.adaptive_pooling import *
from ..ops.attention import *
from ..ops.batchnorm import *
from ..ops.conv import *
from ..ops.conv3d import conv3d, conv_transpose3d
from ..ops.conv_transpose import *
from ..ops.distance import cosine_similarity, normalize, pairwise_distance, pdist
from ..ops.dropout import *
from ..ops.embedding import *
from ..ops.fold import *
from ..ops.grid_sample import *
from ..ops.interpolate import *
from ..ops.linear import bilinear, linear
from ..ops.loss import *
from ..ops.normalization import *
from ..ops.pad import *
from ..ops.pixel_shuffle import *
from ..ops.pooling import *
from ..ops.pooling3d import *
from ..ops.softmax import *
from . import grad as grad

_answer(globals())
