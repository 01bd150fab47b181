"""The drawn tape: the words in its boxes and its table say what the tape says."""

from __future__ import annotations

from typing import Any

import pytest
from tapes import formula, leaf, residual

import minicnn
from minicnn import nn
from minicnn.explain import recorded
from minicnn.explain.collapsed import Drawn
from minicnn.nn import functional as F
from minicnn.visualize import graph
from minicnn.visualize.graph_words import Look, edge_label, lines


def words(drawn: Drawn, title: str, look: Look | None = None) -> list[str]:
    """The lines of the first box with a title."""
    box = next(box for box in drawn.boxes if box.title == title)
    return [line.text for line in lines(box, look or Look())][1:]


# ------------------------------------------------------------------------------------------------------------ words


def test_the_boxes_of_a_formula() -> None:
    found = formula()
    assert [box.title for box in found.drawn.boxes] == ["a", "b", "c", "Mul", "Add", "Mul", "result"]
    assert words(found.drawn, "a") == ["2", "gradient 4 + (-6) = -2"]
    assert words(found.drawn, "Mul") == ["step 3", "saved 2, -3", "-6", "gradient 2"]
    assert words(found.drawn, "result") == ["8", "the gradient starts as 1"]
    labels = {(link.source.title, link.target.title): edge_label(link, Look()) for link in found.drawn.links}
    assert labels["a", "Mul"] == "4" and labels["Add", "Mul"] == "2" and labels["Mul", "result"] == "1"


def test_the_boxes_after_a_step() -> None:
    found = formula()
    assert words(found.drawn, "a", Look(step=0)) == ["2"]
    assert words(found.drawn, "a", Look(step=1)) == ["2", "gradient 4 + ..."]
    assert words(found.drawn, "Add", Look(step=1)) == ["step 2", "4", "gradient 2"]
    assert words(found.drawn, "b", Look(step=2)) == ["-3"]
    assert words(found.drawn, "a", Look(values=False, gradients=False)) == []


def test_the_words_of_larger_tensors_and_hooks() -> None:
    x = minicnn.ones(2, 3, requires_grad=True)
    x.register_hook(lambda g: g * 2)
    found = graph((x * 2).sum(), names={"x": x})
    assert words(found.drawn, "x") == [
        "2\N{MULTIPLICATION SIGN}3", "mean 1, std 0", "gradient norm 4.9, after a hook norm 9.8, mean 4, std 0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("hook", "texts"),
    [(lambda g: None, ["3 + 2 = 5", "7"]), (lambda g: -g, ["3 + 2, after a hook -5", "7, after a hook -7"])],
)
def test_only_a_hook_that_changes_a_gradient_is_shown(hook: Any, texts: list[str]) -> None:
    twice, once = leaf(1.0), leaf(1.0)
    for x in (twice, once):
        x.register_hook(hook)
    found = graph(twice * 2 + twice * 3 + once * 7, names={"twice": twice, "once": once})
    assert [words(found.drawn, name) for name in ("twice", "once")] == [["1", f"gradient {text}"] for text in texts]


def test_a_hook_that_keeps_the_norm() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: -g)
    found = graph((x * minicnn.tensor([1.0, -1.0])).sum(), names={"x": x})
    assert words(found.drawn, "x")[-1] == "gradient [1 -1], after a hook [-1 1]"


def test_frozen_parameters() -> None:
    net, x = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)), minicnn.ones(4, 3, requires_grad=True)
    net[0].requires_grad_(False)
    found = graph(lambda: net(x).sum(), net)
    assert str(found).startswith("3 operations from 2 parameters, 1 input, 2 frozen parameters to")
    assert "frozen" in words(found.drawn, "weight")[0] and ":::frozen" in found.mermaid() and found.svg()
    assert "frozen" not in [box.kind for box in graph(lambda: net(x).sum(), net, constants=False).drawn.boxes]
    whole = graph(lambda: net(x).sum(), net, depth=1)
    assert "8 parameters" in words(whole.drawn, "0: Linear")[0]


def test_several_results_are_numbered() -> None:
    p = leaf(1.0, 2.0)

    def both() -> minicnn.Tensor:
        first, second = p.unbind()
        return first * second

    assert words(graph(both).drawn, "Unbind")[1:] == ["0 = 1", "0: gradient 2", "1 = 2", "1: gradient 1"]


# ------------------------------------------------------------------------------------------------------------ depth


def test_modules_as_boxes() -> None:
    found = residual(depth=1)
    boxes = {box.title: box for box in found.drawn.boxes}
    assert list(boxes) == ["x", "0: Residual", "1: Residual", "Sum", "result"]
    first = boxes["0: Residual"]
    assert first.kind == "module" and [o.name for o in first.operations] == ["Linear", "Relu", "Add"]
    assert [leaf.name for leaf in first.leaves] == ["0.a.weight"] and first.steps == [5, 6, 7]
    assert [edge_label(link, Look()) for link in found.drawn.links] == [
        "[[3 3]] + [[6 6]]",
        "[[1 1]] + [[2 2]]",
        "[[1 1]]",
        "1",
    ]
    assert words(found.drawn, "0: Residual")[0] == "steps 5 to 7, 3 operations, 4 parameters, 1\N{MULTIPLICATION SIGN}2"
    assert "gradient of its parameters: norm 9.49" in words(found.drawn, "0: Residual")
    assert [box.title for box in residual(depth=0).drawn.boxes] == ["x", "Sequential", "Sum", "result"]


def test_frames_without_a_depth() -> None:
    boxes = {box.title: box for box in residual().drawn.boxes}
    assert [frame.title for frame in boxes["weight"].frames] == ["Sequential", "1: Residual", "1.a: Linear"]
    assert boxes["x"].frames == () and boxes["Add"].within == "1"


def test_a_parameter_of_two_modules_is_between_them() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    net[2].weight = net[0].weight
    found = graph(lambda: net(minicnn.ones(1, 2)).sum(), net, depth=1)
    (shared,) = [box for box in found.drawn.boxes if box.kind == "parameter"]
    assert shared.title == "0.weight" and [frame.kind for frame in shared.frames] == ["Sequential"]
    assert [link.target.title for link in found.drawn.links if link.source is shared] == ["0: Linear", "2: Linear"]


def test_constants_may_be_left_out() -> None:
    w = leaf(1.0)
    assert "constant" in [box.kind for box in graph(lambda: w * minicnn.ones(())).drawn.boxes]
    found = graph(lambda: w * minicnn.ones(()), constants=False)
    assert [box.kind for box in found.drawn.boxes] == ["input", "operation", "result"]


# ------------------------------------------------------------------------------------------------------------ table


def test_the_table() -> None:
    assert (
        str(formula())
        == """\
3 operations from 3 inputs to the result

step  operation  saved  result  value  gradient  sends to
---------------------------------------------------------
1     Mul        4, 2   scalar  8      1         Add (2): 2
                                                 a: 4 (1 of 2)
2     Add               scalar  4      2         Mul (3): 2
                                                 c: 2
3     Mul        2, -3  scalar  -6     2         a: + (-6) = -2
                                                 b: 4

leaf  kind   shape   value  gradient       from step
----------------------------------------------------
a     input  scalar  2      4 + (-6) = -2  1, 3
b     input  scalar  -3     4              3
c     input  scalar  10     2              2"""
    )


def test_the_table_after_a_step_and_of_modules() -> None:
    text = str(formula().at(1))
    assert text.startswith("3 operations from 3 inputs to the result; after step 1 of 3 of the backward pass")
    assert "4 + ..." in text and "Mul (3)" not in text
    text = str(residual(depth=1))
    row = next(line for line in text.splitlines() if "1: Residual" in line)
    assert row.split()[:4] == ["2-4", "1:", "Residual", "Sequential"] and "0 (5-7): [[1 1]] (1 of 2)" in row
    assert "0 (5-7): + [[2 2]] = [[3 3]]" in text and "1 parameter inside: norm 9.49" in text


def test_the_table_counts_the_terms_of_a_sum() -> None:
    a = leaf(2.0)
    text = str(graph(lambda: a * 3 + a * 5 + a))
    assert [line.split("a: ")[1] for line in text.splitlines() if "a: " in line] == [
        "1 (1 of 3)",
        "+ 5 (2 of 3)",
        "+ 3 = 9",
    ]


def test_the_table_says_what_is_wrong() -> None:
    x = leaf(4.0, 0.0)
    text = str(graph((x.sqrt() * 0 + 1).sum()))
    assert "1 NaN of 2; what arrives is finite" in text.replace("\n", " ") and "?: the tape does not keep" in text
    loss = (x * x).sum()
    loss.backward()
    text = str(graph(loss))
    assert "failed, see below" in text and "freed" in text and "Step 2, Mul: the backward pass ended here." in text


def test_a_residual_net_by_its_blocks() -> None:
    net, x, y = minicnn.models.resnet20(), minicnn.randn(1, 3, 32, 32), minicnn.tensor([3])
    found = graph(lambda: F.cross_entropy(net(x), y), net, depth=2)
    blocks = [box for box in found.drawn.boxes if box.title.endswith("BasicBlock")]
    assert len(blocks) == 9 and {len(box.operations) for box in blocks} == {7, 9}
    assert sorted(step for box in found.drawn.boxes for step in box.steps) == list(range(1, found.steps + 1))
    found.figure()
    later = graph(F.cross_entropy(net(x), y), net, depth=2)
    assert [box.title for box in later.drawn.boxes if "BasicBlock" in box.title] == [box.title for box in blocks]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: formula().at(9), ValueError, "step must be a whole number from 0 to 3, got 9"),
        (lambda: formula().at(True), ValueError, "step must be a whole number"),
        (lambda: graph(leaf(1.0) * 2, gradients=False, step=1), ValueError, "no backward pass was followed"),
        (lambda: graph(leaf(1.0) * 2, depth=-1), ValueError, "depth must be 0"),
        (lambda: formula().save("a.xyz"), ValueError, r"must end in one of.*for a graph also \.txt"),
        (lambda: formula().animate("a.png"), ValueError, r"must end in \.gif"),
        (lambda: graph(recorded(leaf(1.0) * 2), grad=minicnn.ones(())), TypeError, "grad has no effect"),
        (lambda: graph(minicnn.ones(2)), RuntimeError, "graph: the tensor does not require a gradient"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
