"""Random variables: samples, also with gradients for the parameters, densities, entropies, and their divergence.

policy = Categorical(logits=net(state))        a variable, or a batch of them     discrete.py, continuous.py, gamma.py
action = policy.sample()                                                          distribution.py has what all share
loss = -policy.log_prob(action) * reward
kl_divergence(Normal(mean, std), Normal(0.0, 1.0))                                kl.py
"""

from __future__ import annotations

import sys as _sys

from ..compat.missing import answer as _answer
from . import constraints, continuous, discrete, distribution, gamma, kl
from .continuous import Exponential, Laplace, Normal, Uniform
from .discrete import Bernoulli, Categorical, Multinomial, OneHotCategorical
from .distribution import Distribution
from .gamma import Beta, Dirichlet, Gamma
from .independent import Independent
from .kl import kl_divergence, register_kl

__all__ = [
    "Bernoulli", "Beta", "Categorical", "Dirichlet", "Distribution", "Exponential", "Gamma", "Independent", "Laplace",
    "Multinomial", "Normal", "OneHotCategorical", "Uniform", "constraints", "kl", "kl_divergence", "register_kl",
]  # fmt: skip

# PyTorch has a file for each class: `from minicnn.distributions.normal import Normal`.
_FILES = {
    **dict.fromkeys(("exponential", "laplace", "normal", "uniform"), continuous),
    **dict.fromkeys(("bernoulli", "categorical", "multinomial", "one_hot_categorical"), discrete),
    **dict.fromkeys(("beta", "dirichlet"), gamma),
    "utils": distribution,
}
for _name, _file in _FILES.items():
    _sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _file

_answer(globals())
