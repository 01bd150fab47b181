"""Transforms: functions between sets of values, their inverses, and how much they stretch at each point.

y = SigmoidTransform()(x);  x = SigmoidTransform().inv(y);  SigmoidTransform().log_abs_det_jacobian(x, y) = log |dy/dx|

transform.py has what all share; elementwise.py functions of each number; vectors.py of vectors and matrices; axes.py
and pieces.py are for tensors of more axes, and for their parts.
"""

from __future__ import annotations

from ...compat.missing import answer as _answer
from .axes import IndependentTransform, ReshapeTransform
from .elementwise import (
    AbsTransform,
    AffineTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
)
from .pieces import CatTransform, StackTransform
from .transform import ComposeTransform, Transform, identity_transform
from .vectors import (
    CorrCholeskyTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    SoftmaxTransform,
    StickBreakingTransform,
)

__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "CorrCholeskyTransform",
    "CumulativeDistributionTransform", "ExpTransform", "IndependentTransform", "LowerCholeskyTransform",
    "PositiveDefiniteTransform", "PowerTransform", "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform",
    "SoftplusTransform", "StackTransform", "StickBreakingTransform", "TanhTransform", "Transform", "identity_transform",
]  # fmt: skip

_answer(globals())
