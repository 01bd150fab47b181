"""Random variables for the comparison of `distributions`: parameters and values, made alike in both libraries."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from differential.scenarios import double

Make = Callable[[Any], Any]


def dist(lib: Any) -> Any:
    return import_module(f"{lib.__name__}.distributions")


def positive(lib: Any, *shape: int, seed: int = 0) -> Any:
    return (double(lib, *shape, seed=seed).abs() + 0.3).requires_grad_()


def anything(lib: Any, *shape: int, seed: int = 0) -> Any:
    return double(lib, *shape, seed=seed).requires_grad_()


def shares(lib: Any, *shape: int, seed: int = 0) -> Any:
    return double(lib, *shape, seed=seed).softmax(-1).detach().requires_grad_()


def inside(lib: Any, *shape: int, seed: int = 0) -> Any:
    return double(lib, *shape, seed=seed).sigmoid().detach().requires_grad_()


def counts(lib: Any, *shape: int) -> Any:
    return lib.tensor(np.random.default_rng(5).integers(0, 6, shape).astype(np.float64))


def triangle(lib: Any, *shape: int) -> Any:
    x = double(lib, *shape, shape[-1])
    return (x.tril(-1) + lib.eye(shape[-1], dtype=lib.float64) * (x.abs() + 0.5)).requires_grad_()


def covariance(lib: Any, *shape: int) -> Any:
    x = triangle(lib, *shape).detach()
    return (x @ x.mT).requires_grad_()


# Parameters by name, and values of the support.
MADE: dict[str, tuple[str, dict[str, Make], Make]] = {
    "Normal": ("Normal", {"loc": lambda lib: anything(lib, 2, 3), "scale": lambda lib: positive(lib, 3)},
               lambda lib: anything(lib, 4, 2, 3, seed=5)),
    "Laplace": ("Laplace", {"loc": lambda lib: anything(lib, 3), "scale": lambda lib: positive(lib, 2, 1)},
                lambda lib: anything(lib, 2, 3, seed=5)),
    "Exponential": ("Exponential", {"rate": lambda lib: positive(lib, 3)}, lambda lib: positive(lib, 2, 3, seed=5)),
    "Uniform": ("Uniform", {"low": lambda lib: -positive(lib, 3), "high": lambda lib: positive(lib, 3)},
                lambda lib: double(lib, 2, 3, seed=5) / 10),
    "Gamma": ("Gamma", {"concentration": lambda lib: positive(lib, 2, 3), "rate": lambda lib: positive(lib, 3, seed=1)},
              lambda lib: positive(lib, 2, 3, seed=5)),
    "Beta": ("Beta", {"concentration1": lambda lib: positive(lib, 2, 3) + 1,
                      "concentration0": lambda lib: positive(lib, 3, seed=1) + 1},
             lambda lib: inside(lib, 2, 3, seed=5)),
    "Dirichlet": ("Dirichlet", {"concentration": lambda lib: positive(lib, 2, 3)}, lambda lib: shares(lib, 4, 2, 3)),
    "Bernoulli: probs": ("Bernoulli", {"probs": lambda lib: inside(lib, 2, 3)},
                         lambda lib: (double(lib, 4, 2, 3, seed=5) > 0).double()),
    "Bernoulli: logits": ("Bernoulli", {"logits": lambda lib: anything(lib, 2, 3)},
                          lambda lib: (double(lib, 2, 3, seed=5) > 0).double()),
    "Categorical: probs": ("Categorical", {"probs": lambda lib: positive(lib, 2, 3)},
                           lambda lib: lib.tensor([[0, 1], [2, 1]])),
    "Categorical: logits": ("Categorical", {"logits": lambda lib: anything(lib, 2, 3)}, lambda lib: lib.tensor([2, 0])),
    "OneHotCategorical": ("OneHotCategorical", {"logits": lambda lib: anything(lib, 2, 3)},
                          lambda lib: lib.eye(3, dtype=lib.float64)[:2]),
    "Multinomial": ("Multinomial", {"total_count": lambda lib: 4, "probs": lambda lib: shares(lib, 2, 3)},
                    lambda lib: lib.tensor([[4.0, 0, 0], [1, 1, 2]], dtype=lib.float64)),
    "Multinomial: logits": ("Multinomial", {"total_count": lambda lib: 3, "logits": lambda lib: anything(lib, 2, 3)},
                            lambda lib: lib.tensor([[3.0, 0, 0], [1, 1, 1]], dtype=lib.float64)),
    "OneHotCategoricalStraightThrough": ("OneHotCategoricalStraightThrough", {"probs": lambda lib: shares(lib, 2, 3)},
                                         lambda lib: lib.eye(3, dtype=lib.float64)[:2]),
    "Binomial": ("Binomial", {"total_count": lambda lib: 4, "probs": lambda lib: inside(lib, 2, 3)},
                 lambda lib: counts(lib, 4, 2, 3) % 5),
    "Binomial: logits": ("Binomial", {"total_count": lambda lib: 9, "logits": lambda lib: anything(lib, 2, 3)},
                         lambda lib: counts(lib, 2, 3)),
    "Geometric": ("Geometric", {"probs": lambda lib: inside(lib, 2, 3)}, lambda lib: counts(lib, 4, 2, 3)),
    "Geometric: logits": ("Geometric", {"logits": lambda lib: anything(lib, 2, 3)}, lambda lib: counts(lib, 4, 2, 3)),
    "NegativeBinomial": ("NegativeBinomial", {"total_count": lambda lib: positive(lib, 3) * 3,
                                              "probs": lambda lib: inside(lib, 2, 3)}, lambda lib: counts(lib, 2, 3)),
    "NegativeBinomial: logits": ("NegativeBinomial", {"total_count": lambda lib: positive(lib, 2, 3),
                                                      "logits": lambda lib: anything(lib, 2, 3)},
                                 lambda lib: counts(lib, 2, 3)),
    "Poisson": ("Poisson", {"rate": lambda lib: positive(lib, 2, 3)}, lambda lib: counts(lib, 4, 2, 3)),
    "Cauchy": ("Cauchy", {"loc": lambda lib: anything(lib, 2, 3), "scale": lambda lib: positive(lib, 3)},
               lambda lib: anything(lib, 4, 2, 3, seed=5)),
    "HalfCauchy": ("HalfCauchy", {"scale": lambda lib: positive(lib, 2, 3)}, lambda lib: positive(lib, 2, 3, seed=5)),
    "HalfNormal": ("HalfNormal", {"scale": lambda lib: positive(lib, 2, 3)}, lambda lib: positive(lib, 2, 3, seed=5)),
    "StudentT": ("StudentT", {"df": lambda lib: positive(lib, 2, 3) * 3, "loc": lambda lib: anything(lib, 3, seed=1),
                              "scale": lambda lib: positive(lib, 3, seed=2)},
                              lambda lib: anything(lib, 4, 2, 3, seed=5)),
    "Chi2": ("Chi2", {"df": lambda lib: positive(lib, 2, 3)}, lambda lib: positive(lib, 2, 3, seed=5)),
    "FisherSnedecor": ("FisherSnedecor", {"df1": lambda lib: positive(lib, 2, 3) * 3,
                                          "df2": lambda lib: positive(lib, 3, seed=1) * 6},
                       lambda lib: positive(lib, 2, 3, seed=5)),
    "Gumbel": ("Gumbel", {"loc": lambda lib: anything(lib, 2, 3), "scale": lambda lib: positive(lib, 3)},
               lambda lib: anything(lib, 4, 2, 3, seed=5)),
    "Weibull": ("Weibull", {"scale": lambda lib: positive(lib, 2, 3),
                            "concentration": lambda lib: positive(lib, 3) + 1},
                lambda lib: positive(lib, 2, 3, seed=5)),
    "Pareto": ("Pareto", {"scale": lambda lib: positive(lib, 2, 3), "alpha": lambda lib: positive(lib, 3) * 3},
               lambda lib: positive(lib, 2, 3, seed=5) + 3),
    "GeneralizedPareto": ("GeneralizedPareto", {"loc": lambda lib: anything(lib, 2, 3),
                                                "scale": lambda lib: positive(lib, 3),
                                                "concentration": lambda lib: positive(lib, 3) / 4},
                          lambda lib: positive(lib, 2, 3, seed=5) + 3),
    "LogNormal": ("LogNormal", {"loc": lambda lib: anything(lib, 2, 3), "scale": lambda lib: positive(lib, 3)},
                  lambda lib: positive(lib, 2, 3, seed=5)),
    "LogisticNormal": ("LogisticNormal", {"loc": lambda lib: anything(lib, 2, 3),
                                          "scale": lambda lib: positive(lib, 3)},
                       lambda lib: shares(lib, 2, 4, seed=5)),
    "InverseGamma": ("InverseGamma", {"concentration": lambda lib: positive(lib, 2, 3) * 3,
                                      "rate": lambda lib: positive(lib, 3)}, lambda lib: positive(lib, 2, 3, seed=5)),
    "Kumaraswamy": ("Kumaraswamy", {"concentration1": lambda lib: positive(lib, 2, 3),
                                    "concentration0": lambda lib: positive(lib, 3, seed=1)},
                    lambda lib: inside(lib, 2, 3, seed=5)),
    "ContinuousBernoulli": ("ContinuousBernoulli", {"probs": lambda lib: inside(lib, 2, 3)},
                            lambda lib: inside(lib, 4, 2, 3, seed=5)),
    "ContinuousBernoulli: logits": ("ContinuousBernoulli", {"logits": lambda lib: anything(lib, 2, 3)},
                                    lambda lib: inside(lib, 4, 2, 3, seed=5)),
    "ContinuousBernoulli: half": ("ContinuousBernoulli",
                                  {"logits": lambda lib: (double(lib, 2, 3) / 1000).requires_grad_()},
                                  lambda lib: inside(lib, 4, 2, 3, seed=5)),
    "RelaxedBernoulli": ("RelaxedBernoulli", {"temperature": lambda lib: positive(lib),
                                              "probs": lambda lib: inside(lib, 2, 3)},
                         lambda lib: inside(lib, 4, 2, 3, seed=5)),
    "RelaxedOneHotCategorical": ("RelaxedOneHotCategorical", {"temperature": lambda lib: positive(lib),
                                                              "logits": lambda lib: anything(lib, 2, 3)},
                                 lambda lib: shares(lib, 4, 2, 3, seed=5)),
    "VonMises": ("VonMises", {"loc": lambda lib: anything(lib, 2, 3), "concentration": lambda lib: positive(lib, 3)},
                 lambda lib: anything(lib, 4, 2, 3, seed=5)),
    "MultivariateNormal: covariance": ("MultivariateNormal", {"loc": lambda lib: anything(lib, 2, 3),
                                                              "covariance_matrix": lambda lib: covariance(lib, 3)},
                                       lambda lib: anything(lib, 4, 2, 3, seed=5)),
    "MultivariateNormal: precision": ("MultivariateNormal", {"loc": lambda lib: anything(lib, 3),
                                                             "precision_matrix": lambda lib: covariance(lib, 2, 3)},
                                      lambda lib: anything(lib, 4, 2, 3, seed=5)),
    "MultivariateNormal: triangle": ("MultivariateNormal", {"loc": lambda lib: anything(lib, 2, 3),
                                                            "scale_tril": lambda lib: triangle(lib, 2, 3)},
                                     lambda lib: anything(lib, 2, 3, seed=5)),
    "Wishart": ("Wishart", {"df": lambda lib: positive(lib, 2) + 3,
                            "covariance_matrix": lambda lib: covariance(lib, 3)},
                lambda lib: covariance(lib, 2, 3)),
    "Wishart: precision": ("Wishart", {"df": lambda lib: positive(lib, 2) + 5,
                                       "precision_matrix": lambda lib: covariance(lib, 2, 3)},
                           lambda lib: covariance(lib, 2, 3)),
    "LKJCholesky": ("LKJCholesky", {"dim": lambda lib: 3, "concentration": lambda lib: positive(lib, 2)},
                    lambda lib: dist(lib).transforms.CorrCholeskyTransform()(double(lib, 4, 2, 3)).detach()),
    "LowRankMultivariateNormal": ("LowRankMultivariateNormal", {"loc": lambda lib: anything(lib, 3),
                                                                "cov_factor": lambda lib: anything(lib, 2, 3, 2),
                                                                "cov_diag": lambda lib: positive(lib, 3, seed=2)},
                                  lambda lib: anything(lib, 4, 2, 3, seed=5)),
}  # fmt: skip
CONTINUOUS = (
    "Normal", "Laplace", "Exponential", "Uniform", "Gamma", "Beta", "Dirichlet", "Cauchy", "HalfCauchy", "HalfNormal",
    "StudentT", "Chi2", "FisherSnedecor", "Gumbel", "Weibull", "Pareto", "GeneralizedPareto", "LogNormal",
    "LogisticNormal", "InverseGamma", "Kumaraswamy", "ContinuousBernoulli", "RelaxedBernoulli",
    "RelaxedOneHotCategorical", "MultivariateNormal: covariance", "MultivariateNormal: precision",
    "MultivariateNormal: triangle", "Wishart", "LowRankMultivariateNormal", "OneHotCategoricalStraightThrough",
)  # fmt: skip


def rounded(x: Any) -> Any:
    """Seven digits, because PyTorch's polygamma is a fit; NaN as a number."""
    return x.detach().double().nan_to_num(123.0).round(decimals=7) + 0.0
