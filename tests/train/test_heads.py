"""New heads for every net of the zoo, and for nets that users write."""

from __future__ import annotations

from typing import Any

import pytest

import minicnn
from minicnn import models, nn
from minicnn.models.registry import MODELS
from minicnn.nn import functional as F
from minicnn.tensor import Tensor
from minicnn.train import freeze, replace_head

OWN = {"lenet5_1998", "alphago"}  # distances to fixed patterns; a convolution with a bias for each place
FIRST = {entry.file: name for name, entry in reversed(MODELS.items()) if name not in OWN}


def check(name: str) -> None:
    with minicnn.device("meta"):
        net = getattr(models, name)()
        before = {key: tuple(value.shape) for key, value in net.state_dict().items()}
        others = dict(net.state_dict())
        heads = replace_head(net, 7)
        after = net.state_dict()
    inside = tuple(f"{head.name}." for head in heads)
    assert set(after) == set(before)
    for key, value in after.items():
        if key.startswith(inside):
            assert (before[key][0], value.shape[0]) == (MODELS[name].num_classes, 7)
        else:
            assert value is others[key] or tuple(value.shape) == before[key]
    size = MODELS[name].input_size
    graph = minicnn.analysis.trace(net, size)
    assert graph.error is None and graph.outputs[0].shape == (2, 7)
    graph = minicnn.analysis.trace(net, size, training=True)
    assert all(output.shape == (2, 7) for output in graph.outputs)


@pytest.mark.parametrize("name", sorted(FIRST.values()))
def test_nets_of_every_family(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(MODELS) - OWN - set(FIRST.values())))
def test_all_other_nets(name: str) -> None:
    check(name)


def test_auxiliary_heads() -> None:
    with minicnn.device("meta"):
        assert [h.name for h in replace_head(models.googlenet(), 3)] == ["fc", "aux2.fc2", "aux1.fc2"]
        assert [h.name for h in replace_head(models.inception_v3(), 3)] == ["fc", "AuxLogits.fc"]
        assert [h.name for h in replace_head(models.googlenet(aux_logits=False), 3)] == ["fc"]


def test_what_is_said_and_done() -> None:
    net = models.lenet5()
    freeze(net)
    net.eval()
    (head,) = replace_head(net, 5)
    assert str(head).startswith("classifier.5: Linear(in_features=84, out_features=10, bias=True) -> Linear(")
    assert head.new is net.classifier[5] and not head.new.training
    assert [name for name, p in net.named_parameters() if p.requires_grad] == [
        "classifier.5.weight",
        "classifier.5.bias",
    ]


def test_details_of_the_layer_are_kept() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 10, (3, 1), stride=2, padding=(1, 0), dilation=(2, 1), bias=False,
                                                padding_mode="reflect"),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ).double()  # fmt: skip
    ((name, old, new),) = replace_head(net, 3)
    assert name == "2" and repr(new) == repr(old).replace("(4, 10,", "(4, 3,")
    assert new.weight.dtype == minicnn.float64 and new.bias is None
    assert net(minicnn.rand(2, 2, 16, 16, dtype=minicnn.float64)).shape == (2, 3)


class Own(nn.Module):
    """Names that say nothing, the head registered first, and functions in between."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 4)
        self.b = nn.Conv2d(1, 6, 3)
        self.num_classes = 4

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(F.relu(self.b(x)), 1)
        return F.log_softmax(F.dropout(self.a(x.view(-1, 6)), 0.1, self.training), 1)


def test_a_head_with_any_name() -> None:
    net = Own()
    assert [head.name for head in replace_head(net, 9)] == ["a"] and net.num_classes == 9
    assert net(minicnn.rand(3, 1, 8, 8)).shape == (3, 9)


class Two(nn.Module):
    """The scores are a sum of two layers, one of which is also under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.wide, self.deep = nn.Linear(5, 6), nn.Linear(5, 3), nn.Linear(6, 3)
        self.alias = self.deep

    def forward(self, x: Tensor) -> Any:
        y = self.body(x).relu()
        return self.wide(x) + self.deep(y), y


def test_a_sum_of_two_layers() -> None:
    net = Two()
    assert sorted(head.name for head in replace_head(net, 2)) == ["deep", "wide"]
    assert net.alias is net.deep and net(minicnn.rand(4, 5))[0].shape == (4, 2)
    assert net.body.out_features == 6


def test_pixels_into_a_linear_layer() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))
    assert [head.name for head in replace_head(net, 4)] == ["1"]
    with pytest.raises(ValueError, match="the net is one layer"):
        replace_head(nn.Linear(7, 3), 2)


def test_sizes_that_nobody_guesses() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 11 * 5, 10))
    with pytest.raises(ValueError, match="give a batch of its images: images="):
        replace_head(net, 3)
    assert [head.name for head in replace_head(net, 3, minicnn.zeros(1, 1, 13, 7))] == ["2"]


class Fixed(nn.Module):
    """Its forward knows the number of classes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).reshape(-1, 2, 2).flatten(1) * minicnn.ones(4)


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda: models.lenet5_1998(), "has 84 outputs"), (lambda: models.alphago(), "by hand"),
     (lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), "belong to the classes"),
     (lambda: nn.Sequential(nn.Conv2d(4, 8, 1, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "groups"),
     (lambda: nn.Sequential(nn.Conv2d(4, 8, 1)), "gives the shape"), (lambda: nn.Flatten(), "no image size"),
     (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)), "by hand"), (Fixed, "does not work"),
     (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(9)), "has lazy layers")],
)  # fmt: skip
def test_nets_that_cannot_stay_as_they_are(make: Any, message: str) -> None:
    net = make()
    modules, lazy = list(net.modules()), "lazy" in message
    state = {} if lazy else {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises((ValueError, TypeError), match=message):
        replace_head(net, 3)
    assert all(a is b for a, b in zip(modules, net.modules(), strict=True))
    assert all(minicnn.equal(value, net.state_dict()[key]) for key, value in state.items())


def test_wrong_numbers_of_classes() -> None:
    for count in (0, -1, 2.5):
        with pytest.raises((ValueError, TypeError), match="num_classes"):
            replace_head(models.lenet5(), count)  # type: ignore[arg-type]
