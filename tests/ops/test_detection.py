"""Boxes and regions of interest: suppression, pooling by maxima and by position, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import ops


def drawn(n: int, seed: int = 0) -> np.ndarray:
    """Draw boxes (n, 4) in an image of 40 x 40."""
    draw = np.random.default_rng(seed)
    corner = draw.uniform(0, 30, (n, 2))
    return np.concatenate([corner, corner + draw.uniform(1, 15, (n, 2))], 1)


def greedy(boxes: np.ndarray, scores: np.ndarray, threshold: float, kinds: np.ndarray | None = None) -> list[int]:
    """Do what `nms` is defined by, box by box."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        for j in kept:
            w, h = (min(boxes[i, 2 + a], boxes[j, 2 + a]) - max(boxes[i, a], boxes[j, a]) for a in (0, 1))
            both = max(w, 0) * max(h, 0)
            areas = [(boxes[k, 2] - boxes[k, 0]) * (boxes[k, 3] - boxes[k, 1]) for k in (i, j)]
            if both / (sum(areas) - both) > threshold and (kinds is None or kinds[i] == kinds[j]):
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 1.0])
def test_suppression_is_the_greedy_choice(threshold: float) -> None:
    boxes, scores = drawn(60), np.random.default_rng(1).uniform(size=60)
    kinds = np.arange(60) % 3
    found = ops.nms(minicnn.tensor(boxes), minicnn.tensor(scores), threshold)
    assert found.dtype == minicnn.int64
    assert found.tolist() == greedy(boxes, scores, threshold)
    found = ops.batched_nms(minicnn.tensor(boxes), minicnn.tensor(scores), minicnn.tensor(kinds), threshold)
    assert found.tolist() == greedy(boxes, scores, threshold, kinds)


def test_suppression_of_equal_scores_and_of_nothing() -> None:
    box = minicnn.tensor([[0.0, 0.0, 1.0, 1.0]] * 3)
    assert ops.nms(box, minicnn.ones(3), 0.5).tolist() == [0]
    assert ops.nms(box[:, [0, 1, 0, 1]], minicnn.ones(3), 0.5).tolist() == [0, 1, 2]
    assert ops.nms(box[:0], minicnn.ones(0), 0.5).shape == (0,)
    assert ops.batched_nms(box[:0], minicnn.ones(0), minicnn.ones(0), 0.5).dtype == minicnn.int64


@pytest.mark.parametrize(
    "boxes, scores, text",
    [((3,), (3,), "2d"), ((3, 5), (3,), "4 elements"), ((3, 4), (3, 1), "1d"), ((3, 4), (2,), "got 3 and 2")],
)
def test_suppression_refuses_other_shapes(boxes: Any, scores: Any, text: str) -> None:
    with pytest.raises(RuntimeError, match=text):
        ops.nms(minicnn.zeros(boxes), minicnn.zeros(scores), 0.5)


def test_maxima_in_bins() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 9))
    t = minicnn.tensor(x, requires_grad=True)
    boxes = minicnn.tensor([[1.0, 1.0, 2.0, 6.0, 5.0], [0.0, -9.0, -9.0, -5.0, -7.0]], dtype=minicnn.float64)
    y = ops.roi_pool(t, boxes, (2, 3))
    # rows 2 to 5 in two bins, columns 1 to 6 in three
    wanted = x[1, :, 2:6, 1:7].reshape(3, 2, 2, 3, 2).max((2, 4))
    np.testing.assert_array_equal(y[0].detach().numpy(), wanted)
    assert not y[1].detach().numpy().any(), "a box outside the image has no pixels"
    y.sum().backward()
    assert t.grad.sum() == wanted.size and not t.grad[0].numpy().any()
    np.testing.assert_array_equal(t.grad.numpy().astype(bool), np.isin(x, wanted))


def test_an_average_of_samples_of_a_slope_is_its_value_at_the_centre() -> None:
    rows, columns = np.mgrid[0:20, 0:24]
    x = minicnn.tensor((2.0 * rows + columns)[None, None])
    box = minicnn.tensor([[3.0, 2.0, 12.0, 14.0]], dtype=minicnn.float64)
    y = ops.roi_align(x, [box], (4, 3), aligned=True)[0, 0].numpy()
    np.testing.assert_allclose(y, [[2 * (3.5 + 3 * i - 0.5) + (4.5 + 3 * j - 0.5) for j in range(3)] for i in range(4)])


def test_samples_outside_the_image_count_as_zero_from_one_pixel_on() -> None:
    x = minicnn.full((1, 1, 4, 4), 6.0)
    box = minicnn.tensor([[-3.0, 0.0, 5.0, 4.0]])  # samples at the columns -2.5, -1.5, -0.5 ... 4.5
    y = ops.roi_align(x, [box], (4, 4), sampling_ratio=2)
    np.testing.assert_allclose(y[0, 0, 0].numpy(), [0, 6, 6, 3])


def test_position_sensitive_bins_take_their_own_channels() -> None:
    x = minicnn.tensor(np.random.default_rng(0).standard_normal((2, 12, 9, 8)))
    boxes = [minicnn.tensor(drawn(3)) / 5, minicnn.tensor(drawn(2, 1)) / 5]
    y, every = ops.ps_roi_align(x, boxes, (2, 3), 1.0, 2), ops.roi_align(x, boxes, (2, 3), 1.0, 2, aligned=True)
    assert y.shape == (5, 2, 2, 3)
    for c in range(2):
        for i in range(2):
            for j in range(3):
                assert (y[:, c, i, j] == every[:, (c * 2 + i) * 3 + j, i, j]).all()
    with pytest.raises(RuntimeError, match="12 channels are not a multiple of 5 x 1"):
        ops.ps_roi_align(x, boxes, (5, 1))


def test_gradients_of_regions() -> None:
    x = minicnn.tensor(np.random.default_rng(0).standard_normal((2, 4, 6, 5)), requires_grad=True)
    boxes = minicnn.tensor([[0, -1.0, 0.5, 3.3, 4.2], [1, 2.0, 1.0, 9.0, 9.0], [1, 1.0, 1.0, 1.0, 1.0]]).double()
    for function in (ops.roi_align, ops.ps_roi_align, ops.roi_pool):
        assert minicnn.autograd.gradcheck(lambda x, f=function: f(x, boxes, 2, 0.7), (x,))
        assert minicnn.autograd.gradgradcheck(lambda x, f=function: f(x, boxes, 2, 0.7).sin(), (x,))


def test_regions_without_boxes_and_without_data() -> None:
    x = minicnn.ones(2, 4, 6, 5, requires_grad=True)
    for function, channels in ((ops.roi_align, 4), (ops.ps_roi_align, 1), (ops.roi_pool, 4)):
        y = function(x, minicnn.zeros(0, 5), 2)
        assert y.shape == (0, channels, 2, 2)
        y.sum().backward()
    assert not x.grad.any()
    y = ops.roi_align(minicnn.zeros(2, 4, 6, 5, device="meta"), minicnn.zeros(3, 5), 2)
    assert y.is_meta and y.shape == (3, 4, 2, 2)
    with pytest.raises(IndexError, match="images 0 to 1, a box has"):
        ops.roi_align(x, minicnn.full((1, 5), 2.0), 2)
    with pytest.raises(AssertionError, match="List"):
        ops.roi_align(x, [minicnn.zeros(1, 5)], 2)
    with pytest.raises(RuntimeError, match=r"\(N, C, H, W\)"):
        ops.roi_align(x[0], minicnn.zeros(1, 5), 2)


def test_names_have_torchvisions_paths() -> None:
    from minicnn.ops.feature_pyramid_network import FeaturePyramidNetwork
    from minicnn.ops.focal_loss import sigmoid_focal_loss
    from minicnn.ops.giou_loss import generalized_box_iou_loss
    from minicnn.ops.poolers import MultiScaleRoIAlign

    from minicnn.ops.boxes import box_iou

    assert box_iou is ops.box_iou and sigmoid_focal_loss is ops.sigmoid_focal_loss
    assert FeaturePyramidNetwork is ops.FeaturePyramidNetwork and MultiScaleRoIAlign is ops.MultiScaleRoIAlign
    assert generalized_box_iou_loss is ops.generalized_box_iou_loss
