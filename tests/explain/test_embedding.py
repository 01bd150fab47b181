"""Features, neighbours and t-SNE: against numbers by hand, planted groups, and what must be refused."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.explain import Embedding, embedding, nearest, tsne
from minicnn.utils.data import DataLoader, TensorDataset
from minicnn_kernels.geometry import ShapeError


def net() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(36, 7), nn.ReLU(inplace=True),
        nn.Dropout(0.5), nn.Linear(7, 4),
    )  # fmt: skip


def test_features_are_what_the_last_linear_layer_gets() -> None:
    model, x, y = net(), minicnn.randn(5, 1, 5, 6), minicnn.tensor([1, 0, 3, 3, 2])
    found = embedding(model, DataLoader(TensorDataset(x, y), batch_size=2))
    model.eval()
    want = model[4](model[3](model[2](model[1](model[0](x))))).detach().numpy()
    np.testing.assert_allclose(found.features, want, atol=1e-6)
    assert found.labels is not None and found.labels.tolist() == [1, 0, 3, 3, 2] and found.layer == "input of 6"
    conv = embedding(model, x, "0")
    np.testing.assert_allclose(
        conv.features, model[0](x).detach().numpy().reshape(5, 36), atol=1e-6
    )  # not what ReLU left of it
    assert conv.labels is None and conv.layer == "0"
    assert embedding(model, x, "").layer == "output" and embedding(model, x, model).features.shape == (5, 4)
    pixels = embedding(None, (x, y))
    np.testing.assert_array_equal(pixels.features, x.numpy().reshape(5, 30))
    assert pixels.layer == "pixels"


def test_the_last_linear_layer_is_the_last_one_that_is_called() -> None:
    model = net()
    model.unused = nn.Linear(2, 2)
    model.forward = lambda x: model[:7](x)  # type: ignore[method-assign]
    assert embedding(model, minicnn.randn(2, 1, 5, 6)).layer == "input of 6"


def test_targets_that_are_no_classes_are_left_out() -> None:
    x = minicnn.randn(3, 1, 5, 6)
    assert embedding(net(), TensorDataset(x, minicnn.randn(3))).labels is None
    assert embedding(net(), TensorDataset(x, minicnn.zeros(3, 4).long())).labels is None


def test_neighbours_by_hand() -> None:
    points = np.array([[1.0, 0], [3, 0.1], [0, 2], [-1, 0], [0, 0], [2, 0]], np.float32)
    known = Embedding(points, np.array([5, 6, 7, 8, 9, 5]), "by hand")
    x = minicnn.tensor([[1.0, 0.0], [0.0, 1.0]])
    cosine = nearest(None, known, x, k=3)
    assert cosine.indices.tolist() == [[0, 5, 1], [2, 1, 0]]  # a point at 0 has the cosine 0, like those at 90 degrees
    np.testing.assert_allclose(cosine.distances[0], [0, 0, 1 - 3 / np.sqrt(9.01)], atol=1e-7)
    np.testing.assert_allclose(cosine.distances[1, 1:], [1 - 0.1 / np.sqrt(9.01), 1], atol=1e-6)
    euclidean = nearest(None, known, x, k=3, metric="euclidean")
    assert euclidean.indices.tolist() == [[0, 4, 5], [2, 4, 1]] or euclidean.indices.tolist() == [[0, 4, 5], [2, 4, 0]]
    np.testing.assert_allclose(euclidean.distances, [[0, 1, 1], [1, 1, np.sqrt(2)]], atol=1e-6)
    assert cosine.labels is not None and cosine.labels.tolist() == [[5, 5, 6], [7, 6, 5]]
    alone = nearest(None, known, x[:1], k=99, metric="euclidean", exclude=0)
    assert alone.indices.tolist() == [[4, 5, 3, 1, 2]] and alone.distances.shape == (1, 5)


def test_an_image_is_its_own_nearest_neighbour_unless_it_is_left_out() -> None:
    minicnn.manual_seed(2)
    model, x = net(), minicnn.randn(9, 1, 5, 6)
    for layer in (None, "0", "6"):
        for metric in ("cosine", "euclidean"):
            found = nearest(model, x, x, 1, layer, metric)
            assert found.indices[:, 0].tolist() == list(range(9)) and np.abs(found.distances).max() < 1e-6
            assert found.labels is None
            others = nearest(model, x, x[[4, 2]], 8, layer, metric, exclude=[4, 2])
            assert sorted(others.indices[0]) == [0, 1, 2, 3, 5, 6, 7, 8] and 2 not in others.indices[1]
            assert (np.diff(others.distances, axis=1) >= 0).all()
            again = nearest(model, embedding(model, x, layer), x[[4, 2]], 8, layer, metric, exclude=np.array([4, 2]))
            assert (again.indices == others.indices).all()


def test_many_images_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = minicnn.randn(23, 3)
    whole = nearest(None, x, x[:4], 23)
    monkeypatch.setattr(sys.modules["minicnn.explain.embedding"], "ROWS", 5)
    np.testing.assert_array_equal(nearest(None, x, x[:4], 23).indices, whole.indices)


def groups(count: int, features: int) -> tuple[Any, Any]:
    """Three groups of points, far from each other in 70 dimensions."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return rng.standard_normal((count, features)).astype(np.float32) + 12 * np.eye(3, features)[labels], labels


@pytest.mark.parametrize("features", [2, 70])
def test_tsne_keeps_groups_together_and_is_repeatable(features: int) -> None:
    x, labels = groups(45, max(features, 3))
    x = x[:, :features] if features > 2 else x @ np.array([[1, 0], [0, 1], [-1, -1]])
    found = tsne(Embedding(x, labels, "planted"), perplexity=8)
    assert found.shape == (45, 2) and np.isfinite(found).all()
    away = np.linalg.norm(found[:, None] - found, axis=2) + np.eye(45) * 1e9
    assert (labels[away.argmin(1)] == labels).all()
    np.testing.assert_array_equal(found, tsne(minicnn.tensor(x), perplexity=8))


def test_tsne_of_images_in_other_dimensions() -> None:
    x, _ = groups(20, 12)
    images = minicnn.tensor(x).reshape(20, 1, 3, 4)
    assert tsne(images, perplexity=4, dimensions=1).shape == (20, 1)
    assert tsne(images, perplexity=4, dimensions=3, components=None).shape == (20, 3)
    assert tsne(x[:, :1], perplexity=4).shape == (20, 2)  # of one feature, which has no second component


def test_errors() -> None:
    model, x = net(), minicnn.randn(6, 1, 5, 6)
    with pytest.raises(ValueError, match=r"perplexity must be above 0 and below the number of points, 6, got 30; give"):
        tsne(x)
    with pytest.raises(ValueError, match="perplexity"):
        tsne(x, perplexity=6)
    with pytest.raises(ValueError, match="1 of 6 points have NaN"):
        bad = x.clone()
        bad[2, 0, 0, 0] = float("nan")
        tsne(bad, perplexity=2)
    with pytest.raises(ValueError, match="all points are equal"):
        tsne(minicnn.ones(6, 3), perplexity=2)
    with pytest.raises(ValueError, match="dimensions must be 1, 2 or 3, got 4"):
        tsne(x, perplexity=2, dimensions=4)
    with pytest.raises(ShapeError, match=r"features must be \(N, ...\)"):
        tsne(minicnn.ones(3), perplexity=2)
    with pytest.raises(ValueError, match="metric must be one of cosine, euclidean, got 'L1'"):
        nearest(model, x, x, metric="L1")
    with pytest.raises(ShapeError, match="the images have 30 features and the dataset 7"):
        nearest(None, embedding(model, x), x)
    with pytest.raises(TypeError, match="exclude must be 6 places in the dataset"):
        nearest(model, x, x, exclude=[1])
    with pytest.raises(ValueError, match="exclude has places outside"):
        nearest(model, x, x[:1], exclude=6)
    with pytest.raises(ValueError, match="calls no Linear layer"):
        embedding(nn.Sequential(nn.Conv2d(1, 1, 1)), x)
    with pytest.raises(ValueError, match=r"without a net there is no layer '0'"):
        embedding(None, x, "0")
    with pytest.raises(ValueError, match="there are no images"):
        embedding(model, x[:0], "0")
    with pytest.raises(TypeError, match="embedding"):
        embedding(3, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tsne: one image has no neighbours"):
        tsne(x[:1], perplexity=1)
    with pytest.raises(ValueError, match="nearest: the dataset has no other image"):
        nearest(model, x[:1], x[:1], exclude=0)
