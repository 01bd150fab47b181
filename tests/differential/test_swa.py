"""Averages of weights against PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
SWA, EMA = minicnn.optim.swa_utils, 0.9


def nets() -> tuple[Any, Any]:
    theirs, ours = (
        lib.Sequential(lib.Conv2d(2, 3, 2), lib.BatchNorm2d(3), lib.ReLU(), lib.Flatten(), lib.Linear(12, 2))
        for lib in (torch.nn, nn)
    )
    ours.load_state_dict({key: value.numpy().copy() for key, value in theirs.state_dict().items()})
    return theirs.double(), ours.double()


def train(theirs: Any, ours: Any, rng: np.random.Generator) -> None:
    """Change weights, running statistics and the count of batches alike."""
    x = rng.standard_normal((4, 2, 3, 3))
    theirs(torch.tensor(x))
    ours(minicnn.from_numpy(x))
    for t, m in zip(theirs.parameters(), ours.parameters(), strict=True):
        change = rng.standard_normal(m.shape)
        t.data += torch.tensor(change)
        m.data = m.detach().numpy() + change


def compare(theirs: Any, ours: Any) -> None:
    expected, found = theirs.state_dict(), ours.state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert str(found[key].dtype).removeprefix("minicnn.") == str(value.dtype).removeprefix("torch.")
        np.testing.assert_allclose(found[key].numpy(), value.numpy(), 1e-12, 1e-12, err_msg=key)


AVERAGES: dict[str, Any] = {
    "equal weights": lambda s: {},
    "ema": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(EMA)},
    "ema, one by one": lambda s: {"avg_fn": s.get_ema_avg_fn(EMA)},
    "swa": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "swa, one by one": lambda s: {"avg_fn": s.get_swa_avg_fn()},
    "one's own": lambda s: {"avg_fn": lambda average, current, n: 0.7 * average + 0.3 * current / (n + 1)},
}


@pytest.mark.parametrize(
    ("name", "buffers"),  # PyTorch's "swa" cannot average integer buffers
    [(name, buffers) for name in AVERAGES for buffers in (False, True) if (name, buffers) != ("swa", True)],
)
def test_averaged_models(name: str, buffers: bool) -> None:
    theirs, ours = nets()
    swa = torch.optim.swa_utils
    their_average = swa.AveragedModel(theirs, **AVERAGES[name](swa), use_buffers=buffers)
    our_average = SWA.AveragedModel(ours, **AVERAGES[name](SWA), use_buffers=buffers)
    rng = np.random.default_rng(0)
    for _ in range(5):
        train(theirs, ours, rng)
        their_average.update_parameters(theirs)
        our_average.update_parameters(ours)
        compare(their_average, our_average)
    assert our_average.n_averaged == 5
    compare(theirs, ours)
    x = rng.standard_normal((3, 2, 3, 3))
    y = our_average.eval()(minicnn.from_numpy(x))
    np.testing.assert_allclose(y.detach().numpy(), their_average.eval()(torch.tensor(x)).detach().numpy(), 1e-10)


@pytest.mark.parametrize("labelled", [False, True])
def test_update_bn(labelled: bool) -> None:
    theirs, ours = nets()
    rng = np.random.default_rng(0)
    train(theirs, ours, rng)
    batches = [rng.standard_normal((n, 2, 3, 3)) for n in (4, 4, 3)]
    ours.eval()
    theirs.eval()
    torch.optim.swa_utils.update_bn([(torch.tensor(b), 0) if labelled else torch.tensor(b) for b in batches], theirs)
    SWA.update_bn([(minicnn.from_numpy(b), 0) if labelled else minicnn.from_numpy(b) for b in batches], ours, "cpu")
    compare(theirs, ours)
    assert not ours.training and ours[1].momentum == 0.1
    SWA.update_bn(None, nn.Linear(2, 2))  # nothing to do, and the loader is not touched
