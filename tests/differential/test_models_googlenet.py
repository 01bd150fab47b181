"""GoogLeNet and torchvision's; the flavours that it lacks against the same layers of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from differential.model_pairs import same_keys, same_results  # noqa: E402

from minicnn import models  # noqa: E402
from minicnn.models import googlenet as ours  # noqa: E402
from minicnn.models.googlenet import MODULES  # noqa: E402

theirs = pytest.importorskip("torchvision.models").googlenet

OFF = {"dropout": 0.0, "dropout_aux": 0.0, "num_classes": 10}


@pytest.mark.parametrize("aux", [True, False])
def test_same_keys(aux: bool) -> None:
    same_keys(ours(aux_logits=aux, init_weights=False), theirs(aux_logits=aux, init_weights=False))


@pytest.mark.parametrize(("aux", "transform"), [(True, True), pytest.param(False, False, marks=pytest.mark.slow)])
def test_same_results(aux: bool, transform: bool) -> None:
    options: dict[str, Any] = {"aux_logits": aux, "transform_input": transform, "init_weights": False, **OFF}
    same_results(ours(**options), theirs(**options), 3, 32, 48, dtype=np.float64)


@pytest.mark.slow
def test_same_results_at_the_real_size() -> None:
    same_results(ours(init_weights=False, **OFF), theirs(init_weights=False, **OFF), 3, 224, 224, dtype=np.float64)


class Module(torch.nn.Module):  # type: ignore[misc]
    """Figure 2b in PyTorch, with 5x5 filters."""

    def __init__(self, conv: Any, c: int, c1: int, r3: int, c3: int, r5: int, c5: int, proj: int) -> None:
        super().__init__()
        self.one = conv(c, c1, 1)
        self.three = torch.nn.Sequential(conv(c, r3, 1), conv(r3, c3, 3, padding=1))
        self.five = torch.nn.Sequential(conv(c, r5, 1), conv(r5, c5, 5, padding=2))
        self.pool = torch.nn.Sequential(torch.nn.MaxPool2d(3, 1, 1), conv(c, proj, 1))

    def forward(self, x: Any) -> Any:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


def plain(*args: Any, **options: Any) -> Any:
    return torch.nn.Sequential(torch.nn.Conv2d(*args, **options), torch.nn.ReLU())


def with_norm(*args: Any, **options: Any) -> Any:
    conv = torch.nn.Conv2d(*args, bias=False, **options)
    return torch.nn.Sequential(conv, torch.nn.BatchNorm2d(args[1], eps=0.001), torch.nn.ReLU())


def reference(conv: Any, norm: Any) -> Any:
    """The paper's net without heads, from left to right as in its figure 3."""
    t = torch.nn
    down = {"stride": 2, "ceil_mode": True}
    m = {name: Module(conv, *row) for name, row in MODULES.items()}
    return t.Sequential(
        conv(3, 64, 7, stride=2, padding=3), t.MaxPool2d(3, **down), norm(),
        conv(64, 64, 1), conv(64, 192, 3, padding=1), norm(), t.MaxPool2d(3, **down),
        m["3a"], m["3b"], t.MaxPool2d(3, **down),
        m["4a"], m["4b"], m["4c"], m["4d"], m["4e"], t.MaxPool2d(3, **down),
        m["5a"], m["5b"], t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(1024, 10),
    )  # fmt: skip


def test_the_papers_net() -> None:
    lrn = lambda: torch.nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)  # noqa: E731
    net = models.googlenet_2014(aux_logits=False, **OFF)
    other = reference(plain, lrn)
    for module in other.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    same_results(net, other, 3, 32, 48, dtype=np.float64)


@pytest.mark.slow
def test_the_net_with_batch_norm_and_5x5_filters() -> None:
    same_results(
        models.googlenet_bn(aux_logits=False, **OFF),
        reference(with_norm, torch.nn.Identity),
        3,
        32,
        48,
        dtype=np.float64,
    )


def test_the_papers_head() -> None:
    conv, fc = plain(512, 128, 1), [torch.nn.Linear(2048, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 10)]
    other = torch.nn.Sequential(torch.nn.AvgPool2d(5, 3), conv, torch.nn.Flatten(), *fc)
    same_results(models.googlenet_2014(**OFF).aux1, other, 512, 14, 14, dtype=np.float64)
