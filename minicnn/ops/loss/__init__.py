"""Losses: numbers that say how far an output is from its target.

`classes.py` compares with class indices, `hinge.py` has margins between classes, `pointwise.py` compares value by
value, `likelihood.py` compares with distributions, `margins.py` compares pairs and triplets of inputs; `reduction.py`
reduces the losses to one number.
"""

from __future__ import annotations

from .classes import cross_entropy, nll_loss
from .hinge import multi_margin_loss, multilabel_margin_loss, multilabel_soft_margin_loss
from .likelihood import gaussian_nll_loss, kl_div, poisson_nll_loss
from .margins import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)  # fmt: skip
from .one_hot import one_hot
from .pointwise import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
    soft_margin_loss,
)  # fmt: skip

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy",
    "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss",
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "one_hot",
    "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip
