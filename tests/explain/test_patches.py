"""The patches that excite a unit: the images that were planted, their exact fields, and the way back to the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.explain import deconvnet, top_patches
from minicnn.models import CifarResNet
from minicnn.utils.data import DataLoader, TensorDataset
from minicnn_kernels.geometry import ShapeError


def brightness(stride: int = 1, padding: int = 0) -> nn.Module:
    """Channel 0 is the sum of 3x2 pixels, channel 1 minus this."""
    conv = nn.Conv2d(1, 2, (3, 2), stride, padding, bias=False)
    conv.weight.data.copy_(minicnn.stack([minicnn.ones(1, 3, 2), -minicnn.ones(1, 3, 2)]))
    return nn.Sequential(conv, nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(3))


def planted(places: list[tuple[int, int, float]]) -> minicnn.Tensor:
    """Images of 8 x 9 that are 0 but for one block of 3 x 2 pixels each: (row, column, value)."""
    x = minicnn.zeros(len(places), 1, 8, 9)
    for image, (p, q, value) in zip(x, places, strict=True):
        image[0, p : p + 3, q : q + 2] = value
    return x


PLACES = [(0, 0, 1.0), (2, 3, 3.0), (5, 7, 2.0), (1, 1, 3.0), (4, 4, 0.5)]


@pytest.mark.parametrize("kind", ["pair", "dataset", "loader", "arrays"])
def test_the_planted_images_in_their_order(kind: str) -> None:
    model, x, y = brightness(), planted(PLACES), minicnn.tensor([4, 3, 2, 1, 0])
    model(x)
    data: Any = {
        "pair": (x, y), "dataset": TensorDataset(x, y), "arrays": (x.numpy(), y.numpy()),
        "loader": DataLoader(TensorDataset(x, y), batch_size=2),
    }[kind]  # fmt: skip
    found = top_patches(model, data, "1", 0, k=3)
    assert found.indices.tolist() == [1, 3, 2]  # of equal ones the first
    assert found.values.tolist() == [18, 18, 12] and found.labels is not None and found.labels.tolist() == [3, 1, 2]
    assert found.cells.tolist() == [[2, 3], [1, 1], [5, 7]] and (found.layer, found.channel, len(found)) == ("1", 0, 3)
    for patch, value in zip(found.patches, (3, 3, 2), strict=True):
        np.testing.assert_array_equal(patch.numpy(), np.full((1, 3, 2), value))
    assert minicnn.equal(found.images, x[[1, 3, 2]])


def test_one_patch_of_an_image_and_fewer_images_than_k() -> None:
    model, x = brightness(), planted(PLACES)
    x[1, 0, 5:8, 0:2] = 2.9  # nearly as strong as the other block of this image
    found = top_patches(model, x, "0", 0, k=9)
    assert sorted(found.indices.tolist()) == [0, 1, 2, 3, 4] and found.labels is None
    assert found.indices.tolist()[:2] == [1, 3]


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (3, 0)])
def test_the_patch_is_what_the_output_depends_on(stride: int, padding: int) -> None:
    """Against gradients, at the border too: outside of the box nothing changes the output."""
    minicnn.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), stride, padding), nn.MaxPool2d(2, 1), nn.Conv2d(3, 4, 2, dilation=2), nn.Flatten()
    )
    x = minicnn.randn(6, 2, 17, 14)
    for one in top_patches(model, x, "2", [1, -1], k=4):
        for i, box in enumerate(one.boxes):
            leaf = one.images[i : i + 1].clone().requires_grad_()
            y = model[2](model[1](model[0](leaf)))
            y[0, one.channel, one.cells[i, 0], one.cells[i, 1]].backward()
            assert leaf.grad is not None and y.max().item() >= one.values[i]
            rows, columns = np.nonzero(leaf.grad.abs().sum((0, 1)).numpy())
            assert box.top <= rows.min() and rows.max() <= box.bottom
            assert box.left <= columns.min() and columns.max() <= box.right
            assert one.patches[i].shape == one.reconstructed[i].shape == (2, box.height, box.width)
            assert one.reconstructions is not None
            outside = one.reconstructions[i].clone()
            outside[:, box.top : box.bottom + 1, box.left : box.right + 1] = 0
            assert float(outside.abs().max()) == 0


def test_vectors_see_the_whole_image_and_all_channels() -> None:
    model, x = brightness(), planted(PLACES)
    model(x)
    found = top_patches(model, x, "4", k=2)
    assert [one.channel for one in found] == [0, 1, 2]
    scores = model(x).detach().numpy()
    for one in found:
        assert one.indices.tolist() == np.argsort(-scores[:, one.channel], kind="stable")[:2].tolist()
        assert all(box == (0, 0, 7, 8) for box in one.boxes) and one.cells.tolist() == [[0, 0], [0, 0]]
    assert top_patches(model, x, model[4], (1,), reconstruct=False)[0].reconstructions is None


def test_a_residual_net() -> None:
    minicnn.manual_seed(0)
    model = CifarResNet(8, num_classes=3)
    x, y = minicnn.randn(5, 3, 16, 12), minicnn.tensor([0, 1, 2, 0, 1])
    found = top_patches(model, (x, y), "layer2.0", 7, k=2)
    with minicnn.no_grad():
        model.eval()
        maps = model.layer2[0](model.layer1(model.relu(model.bn1(model.conv1(x)))))
    assert maps.shape == (5, 32, 8, 6)
    strongest = maps[:, 7].reshape(5, -1).max(1)[0].numpy()
    np.testing.assert_allclose(found.values, np.sort(strongest)[::-1][:2], rtol=1e-5)
    box, (row, column) = found.boxes[0], found.cells[0]
    assert box.top == max(0, 2 * row - 6) and box.bottom == min(15, 2 * row + 6)  # 13 pixels at stride 2
    assert box.left == max(0, 2 * column - 6) and box.right == min(11, 2 * column + 6)
    twice = top_patches(model, (x, y), "layer1.0.relu", 3, k=1)  # called twice in the block: the last call counts
    with minicnn.no_grad():
        want = model.layer1(model.relu(model.bn1(model.conv1(x))))[:, 3].max().item()
    assert twice.values[0] == pytest.approx(want)
    (box,), (row, column) = twice.boxes, twice.cells[0]
    assert (box.top, box.bottom) == (max(0, row - 3), min(15, row + 3)) and box.left == max(0, column - 3)


# ----------------------------------------------------------------------------------------------------------- deconvnet


def test_a_net_without_filters_gives_its_input_back() -> None:
    x = minicnn.randn(3, 2, 5, 4)
    model = nn.Sequential(nn.Identity(), nn.Flatten())
    assert minicnn.equal(deconvnet(model, x, "0"), x) and minicnn.equal(deconvnet(model, x, "1"), x)
    one = deconvnet(model, x, "0", 1, (2, 3))
    want = minicnn.zeros(3, 2, 5, 4)
    want[:, 1, 2, 3] = x[:, 1, 2, 3]
    assert minicnn.equal(one, want)


def test_orthogonal_filters_give_their_input_back() -> None:
    """y = W x with W^T W = 1, and no overlap: the transposed convolution is the inverse; biases play no part."""
    conv = nn.Conv2d(2, 12, (2, 3), stride=(2, 3))
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))[0]
    conv.weight.data.copy_(minicnn.tensor(turn.reshape(12, 2, 2, 3).astype(np.float32)))
    conv.bias.data.fill_(0)
    x = minicnn.randn(2, 2, 6, 9)
    np.testing.assert_allclose(deconvnet(conv, x, "").numpy(), x.numpy(), atol=1e-5)
    parts = [deconvnet(conv, x, "", c, (1, 2)) for c in range(12)]  # of the window in the second row, third column
    total = sum(parts[1:], parts[0]).numpy()
    np.testing.assert_allclose(total[:, :, 2:4, 6:9], x[:, :, 2:4, 6:9].numpy(), atol=1e-5)
    assert not total[:, :, :2].any() and not total[:, :, :, :6].any()


def test_by_hand_through_switches_and_rectifiers() -> None:
    """w = (2, -1) as channels, ReLU, max pooling, then minus the sum: each rule of the paper, number by number."""
    first, last = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 1, 1, bias=False)
    first.weight.data.copy_(minicnn.tensor([2.0, -1.0]).reshape(2, 1, 1, 1))
    last.weight.data.copy_(minicnn.tensor([3.0, -5.0]).reshape(1, 2, 1, 1))
    model = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), last)
    x = minicnn.tensor([[1.0, 4.0], [-7.0, 2.0]]).reshape(1, 1, 2, 2)
    # up: relu(2x) has its largest, 8, at (0, 1); relu(-x) its largest, 7, at (1, 0); y = 3*8 - 5*7 = -11
    # down: -11*3 = -33 to (0, 1) of channel 0, which the rectifier stops; -11*-5 = 55 to (1, 0) of channel 1, times -1
    found = deconvnet(model, x, "3", 0)
    assert found.reshape(4).tolist() == [0, 0, -55, 0]
    assert deconvnet(model, x, "2", 0).reshape(4).tolist() == [0, 16, 0, 0]  # 8*2
    assert deconvnet(model, x, "1", 1, (0, 1)).reshape(4).tolist() == [0, 0, 0, 0]  # relu(-4) = 0
    assert deconvnet(model, x, "1", 1).reshape(4).tolist() == [0, 0, -7, 0]


def test_cells_of_each_image_and_the_strongest() -> None:
    model, x = brightness(), planted(PLACES)
    found = top_patches(model, x, "1", 0, k=5)
    assert found.reconstructions is not None
    again = deconvnet(model, found.images, "1", 0, found.cells).cpu()
    assert minicnn.equal(found.reconstructions, again)
    assert minicnn.equal(again, deconvnet(model, found.images, "1", 0).cpu())
    np.testing.assert_array_equal(found.reconstructed[0].numpy(), np.full((1, 3, 2), 18.0))


# ----------------------------------------------------------------------------------------------------- state and errors


def test_the_net_and_the_program_are_left_as_they_were() -> None:
    minicnn.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(2, 2, 2)
    )
    model[3].eval()
    x = planted(PLACES)
    model(x).sum().backward()
    model[0].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    grads, modes = [p.grad.clone() for p in model.parameters()], [m.training for m in model.modules()]
    stream, given = str(minicnn.get_rng_state()), x.clone()
    first = top_patches(model, TensorDataset(x, minicnn.arange(5)), "4", 1, k=2)
    again = top_patches(model, TensorDataset(x, minicnn.arange(5)), "4", 1, k=2)
    assert first.values.tolist() == again.values.tolist() and minicnn.equal(
        first.reconstructions, again.reconstructions
    )
    with pytest.raises(ValueError, match="no channel 2"):
        top_patches(model, x, "4", 2)
    assert [m.training for m in model.modules()] == modes and minicnn.equal(x, given)
    assert all(minicnn.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(minicnn.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert not model[0].weight.requires_grad and model[4].weight.requires_grad
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert str(minicnn.get_rng_state()) == stream and minicnn.is_grad_enabled()
    with minicnn.no_grad():
        assert float(deconvnet(model, x, "4", 0).abs().max()) > 0


def test_nan_is_never_the_strongest() -> None:
    x = planted(PLACES)
    x[1, 0, 0, 0] = float("nan")
    found = top_patches(brightness(), x, "0", 0, k=5, reconstruct=False)
    assert found.indices.tolist()[:2] == [1, 3] and found.values[0] == 18  # its other cells count
    x[1] = float("nan")
    assert top_patches(brightness(), x, "0", 0, k=5, reconstruct=False).indices.tolist() == [3, 2, 0, 4, 1]


def test_errors() -> None:
    model, x = brightness(), planted(PLACES)
    model(x)
    resnet = CifarResNet(8)
    with pytest.raises(
        ValueError, match=r"top_patches: .* no layer 'layer1.0.conv3' .*; similar names are layer1.0.conv"
    ):
        top_patches(resnet, minicnn.zeros(2, 3, 8, 8), "layer1.0.conv3")
    with pytest.raises(ValueError, match=r"there is no channel -3; 0 has the channels 0 to 1"):
        top_patches(model, x, "0", -3)
    with pytest.raises(TypeError, match="channel"):
        top_patches(model, x, "0", 1.5)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="top_patches: there are no images"):
        top_patches(model, x[:0], "0", 1)
    with pytest.raises(ShapeError, match=r"images must be \(N, C, H, W\)"):
        top_patches(nn.Sequential(nn.Linear(4, 3)), minicnn.zeros(2, 4), "0")
    with pytest.raises(ShapeError, match=r"got shapes \(5, 1, 8, 9\) and \(4,\)"):
        top_patches(model, (x, minicnn.zeros(4).long()), "0")
    with pytest.raises(TypeError, match="data must be a Dataset, a DataLoader"):
        top_patches(model, 3, "0")
    with pytest.raises(ValueError, match="a cell needs its channel"):
        deconvnet(model, x, "0", cell=(0, 0))
    with pytest.raises(ValueError, match=r"no cell \[6, 0\] in a map of 6 x 8"):
        deconvnet(model, x, "0", 0, (6, 0))
    with pytest.raises(ValueError, match=r"or one for each of 5 images"):
        deconvnet(model, x, "0", 0, [(0, 0)] * 4)
    with pytest.raises(ValueError, match="reconstruct=False"):
        _ = top_patches(model, x, "0", 0, reconstruct=False).reconstructed
    unused = nn.Sequential(nn.Conv2d(1, 1, 1))
    unused.other = nn.Linear(1, 1)
    unused.forward = lambda x: unused[0](x)  # type: ignore[method-assign]
    for function in (top_patches, deconvnet):
        with pytest.raises(ValueError, match="does not call the layer 'other'"):
            function(unused, x, "other")
        with pytest.raises(TypeError, match=function.__name__):
            function(lambda x: x, x, "0")
