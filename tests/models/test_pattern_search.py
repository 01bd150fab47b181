"""A random search for nets under a budget."""

from __future__ import annotations

import contextlib
import inspect
import random
import textwrap
from typing import Any

import pytest
from counting import count

import minicnn
from minicnn import nn
from minicnn.models import conv_net, pattern_search, random_search
from minicnn.models.pattern_cost import Choices, Least, cost
from minicnn.models.pattern_grammar import Parser


def parameters(net: nn.Module) -> float:
    return float(sum(p.numel() for p in net.parameters()))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("CONV3-8-RELU-POOL-SOFTMAX", (8 * 28 + 1290, 64 * 8 * 27 + 1280)),
        ("[(CONV-BN-RELU)*2-POOL]*2-(FC-RELU)*1-SOFTMAX", None),
    ],
)  # fmt: skip
def test_the_cost(text: str, expected: tuple[int, int] | None) -> None:
    with minicnn.device("meta"):
        counted = count(conv_net(text, (3, 8, 8)), (3, 8, 8))
    assert cost(text, (3, 8, 8)) == counted
    assert expected in (None, counted)


def test_the_budget_is_kept_and_the_best_is_first() -> None:
    found = random_search(parameters, (3, 16, 16), trials=8, max_macs=2_000_000, max_params=50_000, seed=3)
    assert len(found) == 8 == len({c.text for c in found})
    scores = [c.score for c in found]
    assert scores == sorted(scores, reverse=True) == [c.params for c in found]  # type: ignore[type-var]
    for candidate in found:
        assert (candidate.params, candidate.macs) == cost(candidate.text, (3, 16, 16))
        assert candidate.macs <= 2_000_000 and candidate.params <= 50_000 and candidate.error is None


def test_a_search_can_be_repeated() -> None:
    def noise(net: nn.Module) -> float:
        return float(minicnn.rand(1)) + float(next(net.parameters()).sum())

    minicnn.manual_seed(5)
    first = random_search(noise, (1, 8, 8), trials=4, seed=1)
    after = float(minicnn.rand(1))
    assert random_search(noise, (1, 8, 8), trials=4, seed=1) == first
    assert {c.text for c in random_search(noise, (1, 8, 8), trials=4, seed=2)} != {c.text for c in first}
    minicnn.manual_seed(5)
    assert float(minicnn.rand(1)) == after  # the search does not move the stream


def test_a_candidate_that_fails_is_kept_with_its_error() -> None:
    calls = iter(range(100))

    def sometimes(net: nn.Module) -> float:
        number = next(calls)
        if number == 1:
            raise RuntimeError("out of paper")
        return float("nan") if number == 2 else -float(number)

    found = random_search(sometimes, (1, 8, 8), trials=5)
    assert [c.score for c in found[:3]] == [0, -3, -4]
    assert {c.error for c in found[3:]} == {"RuntimeError: out of paper", "the score is NaN"}
    with pytest.raises(KeyboardInterrupt):
        random_search(interrupted, (1, 8, 8))


def interrupted(net: nn.Module) -> float:
    raise KeyboardInterrupt


def test_what_is_drawn() -> None:
    found = random_search(
        parameters, (1, 16, 16), trials=30, N=(2, 3), M=2, K=(0, 1), kernels=[5], channels=[4], hidden=[8]
    )
    net = conv_net(found[0].text, (1, 16, 16))
    assert found[0].text.count("(CONV5-4-RELU)*") == 2
    assert {layer.out_channels for layer in net if isinstance(layer, nn.Conv2d)} == {4}
    lengths = {sum(isinstance(x, nn.Conv2d) for x in conv_net(c.text, (1, 16, 16))) for c in found}
    assert lengths == {4, 5, 6}
    assert {c.text.count("POOL") for c in found} == {0, 1, 2}
    assert {c.text.count("FC-8-RELU") for c in found} == {0, 1}
    assert len(found) == 30  # of 32 nets: N and "?" in each of two blocks, and K


def test_a_pattern_with_sizes_of_its_own() -> None:
    found = random_search(parameters, (3, 8, 8), trials=2, pattern="CONV3x1-6s2-BN-RELU-(CONV-RELU)*Q-GAP-FC", Q=(1, 1))
    assert all(c.text.startswith("CONV3x1-6s2-BN-RELU-CONV") and c.text.endswith("-RELU-GAP-FC") for c in found)


def test_a_few_nets_are_found_where_there_are_no_more() -> None:
    found = random_search(parameters, (4,), trials=5, pattern="(FC-RELU)*K-SOFTMAX", K=(0, 1), hidden=[3])
    assert sorted(c.text for c in found) == ["FC-3-RELU-SOFTMAX", "SOFTMAX"]


def test_the_pooling_can_be_convolutions() -> None:
    found = random_search(parameters, (1, 8, 8), trials=1, pattern="CONV3-4-POOL-SOFTMAX", pooling="conv")
    assert found[0].params == 4 * 10 + 4 * 37 + 650


@pytest.mark.parametrize(
    "error, message, options",
    [
        (ValueError, r"no net of the pattern is within the budget of 10 multiply-accumulates: each has at least 5,888 "
         r"multiply-accumulates and 994 parameters. The cheapest that was drawn, CONV", {"max_macs": 10, "trials": 9}),
        (ValueError, r"none is within the budget of 6,000 multiply-accumulates and 1,000 parameters. The cheapest ",
         {"max_macs": 6000, "max_params": 1000}),
        (ValueError, r"the pattern gives no net for this input; a text .*:\nconv_net: POOL does not fit the shape here",
         {"pattern": "(CONV-POOL)*M-SOFTMAX", "M": (4, 9)}),
        (ValueError, "max_macs must be above 0, or None for any, got -10", {"max_macs": -10}),
        (ValueError, "max_params must be above 0, or None for any, got nan", {"max_params": float("nan")}),
        (TypeError, "max_macs must be a number, got '10'", {"max_macs": "10"}),
        (TypeError, "evaluate must be a function of a net that returns its score, got 3", {"evaluate": 3}),
        (TypeError, "random_search: trials must be an int, got '3'", {"trials": "3"}),
        (TypeError, "random_search: num_classes must be an int, got None", {"num_classes": None}),
        (ValueError, r"kernels must be whole numbers from 1 to draw from, .*got \(\)", {"kernels": ()}),
        (ValueError, r"channels must be whole numbers from 1 to draw from, .*got 8", {"channels": 8}),
        (ValueError, r"hidden must be whole numbers from 1 to draw from, .*got \(0, 8\)", {"hidden": (0, 8)}),
        (ValueError, r"random_search: input_size must be \(C, H, W\) or \(features,\)", {"input_size": 8}),
        (ValueError, r"N needs its least and largest value, as in \(1, 3\), got \('a', 3\)", {"N": ("a", 3)}),
        (ValueError, r"none of \d+ texts that were drawn is a net; the last:\nconv_net: SOFTMAX must be the last",
         {"pattern": "SOFTMAX-FC"}),
        (ValueError, "there is no layer 'CNN'", {"pattern": "CNN"}),
        (ValueError, r"the letter Q of 'FC\*Q' needs limits: Q=\(1, 3\)", {"pattern": "FC*Q"}),
        (ValueError, r"N needs its least and largest value, as in \(1, 3\), got \(3, 1\)", {"N": (3, 1)}),
        (TypeError, "no argument or letter budget", {"budget": 3}),
        (ValueError, "trials must be at least 1, got 0", {"trials": 0}),
    ],
)  # fmt: skip
def test_errors(error: type[Exception], message: str, options: dict[str, Any]) -> None:
    with pytest.raises(error, match=message):
        random_search(**{"evaluate": parameters, "input_size": (1, 8, 8), "trials": 1, **options})


def test_a_budget_that_no_net_can_have_is_found_out_early(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def counting(text: str, *args: Any, **options: Any) -> tuple[int, int]:
        counted.append(text)
        return cost(text, *args, **options)

    monkeypatch.setattr(pattern_search, "cost", counting)
    for options in ({"max_macs": 5887}, {"max_params": 993}, {"max_macs": 1e9, "max_params": 1}):
        counted.clear()
        with pytest.raises(ValueError, match="no net of the pattern is within the budget of"):
            random_search(parameters, (1, 8, 8), trials=100, **options)  # type: ignore[arg-type]
        assert len(counted) < pattern_search.LOOK
    options = {"kernels": [3], "channels": [8], "M": 1, "K": 0, "N": 1}
    (found,) = random_search(parameters, (1, 8, 8), trials=1, max_macs=5888, **options)  # type: ignore[arg-type]
    assert found.macs == 5888


@pytest.mark.parametrize(
    ("pattern", "limits", "kernels", "channels"),
    [
        ("[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K-SOFTMAX", {"N": (1, 2), "M": (1, 2), "K": (0, 1)}, [3], [4, 10]),
        ("(CONV-BN-RELU)*N-GAP-SOFTMAX", {"N": (1, 2)}, [3], [9, 10]),
        ("CONV-RELU-CONV3-20g5-SOFTMAX", {}, [3, 4], [4, 15, 25]),
        ("(CONV3x1-6s2-TANH)?-CONV-FC-SOFTMAX", {}, [3, 4], [4, 5]),
        ("CONV5-AVGPOOL-(RELU-FC)*K-RELU-FC", {"K": (0, 2)}, [3], [4, 5]),
    ],
)
@pytest.mark.parametrize("pooling", ["max", "conv"])
def test_the_least_cost_of_a_pattern(
    pattern: str, limits: dict[str, tuple[int, int]], kernels: list[int], channels: list[int], pooling: str
) -> None:
    """No net that can be drawn costs less, and some net costs that much: all of them are drawn here."""
    nodes, choices = Parser(pattern).parse(), Choices(limits, kernels, channels, [6, 10])
    draw = pattern_search._Draw(random.Random(0), choices)
    costs = []
    for text in {"-".join(draw.words(nodes)) for _ in range(1000)}:
        with contextlib.suppress(ValueError):  # groups that do not divide the channels
            costs.append(cost(text, (2, 9, 8), pooling=pooling))
    least = Least(nodes, choices, 10, pooling).cost((2, 9, 8))
    assert least == (min(params for params, _ in costs), min(macs for _, macs in costs))


def test_repetitions_without_end_take_no_time() -> None:
    nodes = Parser("(((CONV-RELU)*9999)*9999)*99999999-(RELU*0)*99999999").parse()
    assert Least(nodes, Choices({}, [3], [4], [6]), 10, "max").cost((2, 9, 8)) == (0, 0)


def test_a_search_of_which_every_evaluation_fails_is_an_error() -> None:
    with pytest.raises(
        RuntimeError, match=r"evaluate failed for each of 2 nets; for the first, .*-SOFTMAX: .*Sequential class"
    ):
        random_search(lambda net: net + 1, (1, 8, 8), trials=2)  # type: ignore[operator]


def test_the_example_of_the_docstring_finds_a_net_for_the_digits() -> None:
    text = inspect.getdoc(random_search) or ""
    start, end = text.index("    digits ="), text.index("A net is drawn word by word")
    names: dict[str, Any] = {"minicnn": minicnn, "nn": nn, "conv_net": conv_net, "random_search": random_search}
    exec(textwrap.dedent(text[start:end]), names)
    assert names["best"].score > 0.6
    assert tuple(names["net"](names["x"][:3]).shape) == (3, 10)
