"""Random variables: samples, also with gradients for the parameters, densities, entropies, and their divergence.

policy = Categorical(logits=net(state))        a variable, or a batch of them
action = policy.sample()
loss = -policy.log_prob(action) * reward
kl_divergence(Normal(mean, std), Normal(0.0, 1.0))

    distribution.py       what all share; constraints.py, which values a parameter or a sample may have
    continuous.py         normal, Laplace, exponential, uniform      gamma.py         gamma, Dirichlet, beta
    counts.py             Bernoulli, binomial, geometric, Poisson    discrete.py      classes, one-hot, multinomial
    multivariate.py       normal vectors                             wishart.py       random covariances
    ratios.py             chi2, Student's t, F                       heavy_tails.py   Cauchy, Pareto
    extremes.py           Gumbel, Weibull                            unit_interval.py grey values, Kumaraswamy
    relaxed.py            Gumbel-softmax                             circle.py        von Mises
    mixture.py            one of several                             independent.py   several as one
    transformed.py        after transforms/, with inverse and Jacobian; constraint_registry.py finds them
    kl.py, kl_mixed.py    the divergence of two of a family, and of different families
"""

from __future__ import annotations

import sys as _sys

from ..compat.missing import answer as _answer
from . import (
    circle,
    constraint_registry,
    constraints,
    continuous,
    counts,
    discrete,
    distribution,
    extremes,
    gamma,
    heavy_tails,
    kl,
    mixture,
    multivariate,
    ratios,
    relaxed,
    transformed,
    transforms,
    unit_interval,
    wishart,
)
from . import kl_mixed as kl_mixed
from . import utils as utils
from .circle import VonMises
from .constraint_registry import biject_to, transform_to
from .continuous import Exponential, Laplace, Normal, Uniform
from .counts import Bernoulli, Binomial, Geometric, NegativeBinomial, Poisson
from .discrete import Categorical, Multinomial, OneHotCategorical, OneHotCategoricalStraightThrough
from .distribution import Distribution, ExponentialFamily
from .extremes import Gumbel, Weibull
from .gamma import Beta, Dirichlet, Gamma
from .heavy_tails import Cauchy, GeneralizedPareto, HalfCauchy, Pareto
from .independent import Independent
from .kl import kl_divergence, register_kl
from .mixture import MixtureSameFamily
from .multivariate import LowRankMultivariateNormal, MultivariateNormal
from .ratios import Chi2, FisherSnedecor, StudentT
from .relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from .transformed import HalfNormal, InverseGamma, LogisticNormal, LogNormal, TransformedDistribution
from .transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StackTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    identity_transform,
)
from .unit_interval import ContinuousBernoulli, Kumaraswamy
from .wishart import LKJCholesky, Wishart

__all__ = [
    "AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "CatTransform", "Categorical", "Cauchy",
    "Chi2", "ComposeTransform", "ContinuousBernoulli", "CorrCholeskyTransform", "CumulativeDistributionTransform",
    "Dirichlet", "Distribution", "ExpTransform", "Exponential", "ExponentialFamily", "FisherSnedecor", "Gamma",
    "GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent", "IndependentTransform",
    "InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal",
    "LowRankMultivariateNormal", "LowerCholeskyTransform", "MixtureSameFamily", "Multinomial", "MultivariateNormal",
    "NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Pareto", "Poisson",
    "PositiveDefiniteTransform", "PowerTransform", "RelaxedBernoulli", "RelaxedOneHotCategorical",
    "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StackTransform",
    "StickBreakingTransform", "StudentT", "TanhTransform", "Transform", "TransformedDistribution", "Uniform",
    "VonMises", "Weibull", "Wishart", "biject_to", "constraint_registry", "constraints", "identity_transform", "kl",
    "kl_divergence", "register_kl", "transform_to", "transforms",
]  # fmt: skip

# PyTorch has a file for each class: `from minicnn.distributions.normal import Normal`.
_FILES = {
    **dict.fromkeys(("exponential", "laplace", "normal", "uniform"), continuous),
    **dict.fromkeys(("bernoulli", "binomial", "geometric", "negative_binomial", "poisson"), counts),
    **dict.fromkeys(("categorical", "multinomial", "one_hot_categorical"), discrete),
    **dict.fromkeys(("beta", "dirichlet"), gamma),
    **dict.fromkeys(("chi2", "fishersnedecor", "studentT"), ratios),
    **dict.fromkeys(("cauchy", "generalized_pareto", "half_cauchy", "pareto"), heavy_tails),
    **dict.fromkeys(("gumbel", "weibull"), extremes),
    **dict.fromkeys(("continuous_bernoulli", "kumaraswamy"), unit_interval),
    **dict.fromkeys(("relaxed_bernoulli", "relaxed_categorical"), relaxed),
    **dict.fromkeys(("lowrank_multivariate_normal", "multivariate_normal"), multivariate),
    **dict.fromkeys(
        ("half_normal", "inverse_gamma", "log_normal", "logistic_normal", "transformed_distribution"), transformed
    ),
    "exp_family": distribution,
    "mixture_same_family": mixture,
    "lkj_cholesky": wishart,
    "von_mises": circle,
}
for _name, _file in _FILES.items():
    _sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _file

_answer(globals())
