"""nn.utils.prune: which entries are pruned, what the module looks like, what stays when something fails."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import minicnn
from minicnn import nn
from minicnn.nn.utils import prune


def linear() -> nn.Linear:
    """Make a layer whose weights have absolute values 1 to 6."""
    layer = nn.Linear(3, 2)
    layer.weight.data = minicnn.tensor([[1.0, -4.0, 2.0], [6.0, -3.0, 5.0]])
    return layer


def test_a_pruned_parameter_is_a_product_that_gets_a_gradient() -> None:
    layer = linear()
    parameter = layer.weight
    assert prune.l1_unstructured(layer, "weight", amount=2) is layer
    assert layer.weight_orig is parameter
    assert layer.weight_mask.tolist() == [[0, 1, 0], [1, 1, 1]]
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight_orig"]
    layer(minicnn.ones(1, 3)).sum().backward()
    assert parameter.grad.tolist() == layer.weight_mask.tolist()
    assert prune.is_pruned(nn.Sequential(layer))
    prune.remove(layer, "weight")
    assert layer.weight is parameter
    assert parameter.tolist() == [[0, -4, 0], [6, -3, 5]]
    assert (
        not prune.is_pruned(layer) and not layer._forward_pre_hooks and list(layer.state_dict()) == ["bias", "weight"]
    )


def test_methods_one_after_another_choose_from_what_is_left() -> None:
    layer = linear()
    prune.l1_unstructured(layer, "weight", amount=2)
    prune.l1_unstructured(layer, "weight", amount=0.5)  # of the four that are left
    prune.ln_structured(layer, "weight", amount=1, n=1, dim=1)
    (hook,) = layer._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer)
    assert [type(method).__name__ for method in hook] == ["L1Unstructured", "L1Unstructured", "LnStructured"]
    # left are 6 and 5, in the columns 0 and 2; column 1 is empty, so that of the two others the one with 5 goes
    assert layer.weight_mask.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert layer.weight.tolist() == [[0, 0, 0], [6, 0, 0]]


def test_amounts_over_several_parameters() -> None:
    first, second = linear(), linear()
    pairs = [(first, "weight"), (second, "weight")]
    prune.identity(second, "weight")
    prune.global_unstructured(pairs, prune.L1Unstructured, {(first, "weight"): first.weight * 10}, amount=5)
    assert first.weight_mask.min() == 1
    assert second.weight.tolist() == [[0, 0, 0], [6, 0, 0]]
    with pytest.raises(TypeError, match='Only "unstructured" PRUNING_TYPE'):
        prune.global_unstructured(pairs, prune.LnStructured, amount=1, n=2)
    with pytest.raises(TypeError, match="not an Iterable"):
        prune.global_unstructured(3, prune.L1Unstructured, amount=1)  # type: ignore[arg-type]


def test_random_pruning_has_the_number_and_whole_slices() -> None:
    layer = prune.random_unstructured(nn.Conv2d(4, 6, 3), "weight", 0.25)
    assert int((layer.weight == 0).sum()) == 6 * 4 * 9 // 4
    layer = prune.random_structured(nn.Conv2d(4, 6, 3), "weight", 2, 1)
    assert sorted(layer.weight_mask.sum((0, 2, 3)).tolist()) == [0, 0, 54, 54]


@pytest.mark.parametrize("amount, error", [("1", TypeError), (1.5, ValueError), (-1, ValueError), (7, ValueError)])
def test_what_is_refused_leaves_the_module_as_it_was(amount: Any, error: type[Exception]) -> None:
    layer = linear()
    before = repr(layer), list(layer.state_dict())
    for name in ("weight", "weight"):
        with pytest.raises(error):
            prune.l1_unstructured(layer, name, amount)
        assert (repr(layer), list(layer.state_dict())) == before
    with pytest.raises(ValueError, match="has to be pruned"):
        prune.remove(layer, "weight")
    with pytest.raises(ValueError, match="multidimensional"):
        prune.random_structured(layer, "bias", 1, 0)
    with pytest.raises(IndexError, match="Invalid index 2"):
        prune.random_structured(layer, "weight", 1, 2)
    prune.l1_unstructured(layer, "weight", 3)
    mask = layer.weight_mask.tolist()
    with pytest.raises(error):
        prune.l1_unstructured(layer, "weight", amount)
    assert layer.weight_mask.tolist() == mask and len(layer._forward_pre_hooks) == 1


def test_a_pruned_module_can_be_pickled_and_loaded() -> None:
    layer = prune.l1_unstructured(linear(), "weight", 2)
    other = pickle.loads(pickle.dumps(layer))
    other.weight_orig.data = other.weight_orig.data * 2
    other(minicnn.ones(1, 3))
    assert other.weight.tolist() == [[0, -8, 0], [12, -6, 10]]
    other = prune.identity(nn.Linear(3, 2), "weight")
    other.load_state_dict(layer.state_dict())
    assert (other(minicnn.ones(1, 3)) == layer(minicnn.ones(1, 3))).all()
    assert other.weight.tolist() == layer.weight.tolist()


def test_later_methods_see_what_is_left() -> None:
    """A slice that an earlier method has thinned out counts with the rest of its values."""
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.data = minicnn.tensor([[3.0, 3.0, 3.0], [5.0, 0.1, 0.1]])
    prune.custom_from_mask(layer, "weight", minicnn.tensor([[1, 1, 1], [0, 1, 1]]))
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=0)
    assert layer.weight.tolist() == [[3.0, 3.0, 3.0], [0.0, 0.0, 0.0]]
