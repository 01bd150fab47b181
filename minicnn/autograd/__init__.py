"""The gradient tape and what goes with it; `gradcheck` compares gradients with finite differences."""

from __future__ import annotations

from .anomaly import AnomalyError, detect_anomaly
from .engine import Function, grad
from .gradcheck import GradcheckError, gradcheck
from .modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "AnomalyError",
    "Function",
    "GradcheckError",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
