"""`minicnn.special`: special functions, as in `torch.special`."""

from __future__ import annotations

from ..ops.activation import sigmoid as expit
from ..ops.softmax import tensor_log_softmax as log_softmax
from ..ops.softmax import tensor_softmax as softmax
from ..ops.tensor.arithmetic import xlogy
from ..ops.tensor.reduction import logsumexp
from ..ops.tensor.special import (
    entr,
    erfcx,
    i0,
    i0e,
    i1,
    i1e,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    xlog1py,
    zeta,
)
from ..ops.tensor.special import mvlgamma as multigammaln
from ..ops.tensor.unary import digamma, erf, erfc, erfinv, exp2, expm1, log1p, logit, round, sinc
from ..ops.tensor.unary import lgamma as gammaln
from .doors import door as _door

psi = digamma

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1", "i1e",
    "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi",
    "round", "sinc", "softmax", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

_door(globals())
