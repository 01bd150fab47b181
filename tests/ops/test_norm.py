"""Norms whose order is a NumPy number or a 0-d tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import nn


@pytest.mark.parametrize(
    "p", [np.int64(1), np.float32(1), minicnn.tensor(1.0), minicnn.tensor([1]), np.array(1)], ids=repr
)
def test_the_order_of_a_norm(p: Any) -> None:
    x = minicnn.tensor([[3.0, 4.0], [5.0, 7.0]])
    assert x.norm(p).item() == minicnn.linalg.vector_norm(x, p).item() == minicnn.dist(x, 0 * x, p).item() == 19
    assert x.norm(p, 1).tolist() == minicnn.linalg.norm(x, p, dim=1).tolist() == [7, 12]
    assert minicnn.linalg.norm(x, p).item() == minicnn.linalg.matrix_norm(x, p).item() == 11
    np.testing.assert_allclose(F.normalize(x, p).numpy(), F.normalize(x, 1).numpy())
    for distance in (F.pairwise_distance(x, 0 * x, p), nn.PairwiseDistance(p)(x, 0 * x)):
        np.testing.assert_allclose(distance.numpy(), [7, 12], rtol=1e-5)
    for loss in (F.triplet_margin_loss(x, 0 * x, x, p=p), nn.TripletMarginLoss(p=p)(x, 0 * x, x)):
        np.testing.assert_allclose(loss.item(), 10.5, rtol=1e-5)


@pytest.mark.parametrize("p", ["1", minicnn.tensor([1, 2]), [1], {}], ids=repr)
def test_what_is_no_order(p: Any) -> None:
    with pytest.raises((TypeError, RuntimeError), match="must be a number"):
        minicnn.ones(2).norm(p)
