"""A random search for nets under a budget: the smallest form of neural architecture search."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from minicnn_kernels.geometry import ShapeError, listed, shown, whole

from .. import nn
from ..random import fork_rng, manual_seed
from .pattern import conv_net, image_size
from .pattern_cost import Budget, Choices, Least, check_possible, conv_word, cost, ends, limit, remedy
from .pattern_grammar import Group, Layer, Node, Parser, PatternError, letters

COURSE = "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K-SOFTMAX"
DRAWS_PER_TRIAL = 200
LOOK = 20  # texts without a net within the budget, after which it is found out whether there can be one


class Candidate(NamedTuple):
    """A net that `random_search` tried.

    Attributes:
        text: the line that `conv_net` builds it from.
        params: its parameters.
        macs: multiply-accumulates of convolutions and linear layers for one image, without biases.
        score: what `evaluate` said, or None if it failed.
        error: why it failed, or None.
    """

    text: str
    params: int
    macs: int
    score: float | None
    error: str | None


def random_search(
    evaluate: Callable[[nn.Module], float],
    input_size: Sequence[int],
    num_classes: int = 10,
    *,
    trials: int = 10,
    max_macs: int | None = None,
    max_params: int | None = None,
    seed: int = 0,
    pattern: str = COURSE,
    kernels: Sequence[int] = (3, 5),
    channels: Sequence[int] = (8, 16, 32, 64),
    hidden: Sequence[int] = (32, 64, 128),
    pooling: str = "max",
    **counts: int | tuple[int, int],
) -> list[Candidate]:
    """Draw nets at random from a pattern, drop those over the budget, score the others, and rank them.

        digits = minicnn.datasets.Digits()
        x, y = digits.data.unsqueeze(1) / 255, digits.targets             # (N, 1, 8, 8), (N,)

        def evaluate(net):                                                # share of right answers after 40 steps
            optimizer = minicnn.optim.Adam(net.parameters(), 3e-3)
            for step in range(40):
                batch = slice(step * 30, step * 30 + 30)
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimizer.step()
            return (net(x[1200:]).argmax(1) == y[1200:]).float().mean().item()

        best = random_search(evaluate, (1, 8, 8), trials=3, max_macs=300_000, N=(1, 2), M=(1, 2))[0]
        net = conv_net(best.text, (1, 8, 8))

    A net is drawn word by word: each count between its limits, each "?" by a coin, and for a CONV or FC that gives no
    size, its kernel, channels or outputs. A part that is repeated is drawn once if it has no counts or "?" inside, so
    its repetitions are equal, as in VGG. What a net costs is computed on the meta device, before any memory is taken.

    Args:
        evaluate: a function of a new net with fresh weights: the higher its result, the better. It may train the net.
        input_size: (C, H, W) of an image.
        num_classes: outputs.
        trials: nets to score.
        max_macs, max_params: the budget: multiply-accumulates for one image, and parameters; None for any.
        seed: of the draws. Before each evaluation, the default generator is seeded from it as well, and set back at the
            end, so a search can be repeated.
        pattern: as for `conv_net`, with letters.
        kernels, channels, hidden: what sizes are drawn from.
        pooling: as for `conv_net`.
        counts: the least and largest value of each letter, or its only value: N=(1, 3). N and M have (1, 3), K has
            (0, 2), if they are not given.

    Returns:
        The nets, the best one first; among equal scores that with the fewest multiply-accumulates. Nets whose
        evaluation raised an error, or gave NaN, are at the end, with the error. No net is there twice; there may be
        fewer than `trials`, if 200 times as many draws do not find them.

    Raises:
        ValueError: an argument is out of range; or no net that was drawn is within the budget, and the message tells
            the cheapest; or none can be, which is found out after a few draws.
        TypeError: an argument is of another kind.
        RuntimeError: the evaluation of every net failed.
        PatternError: the pattern has a fault.

    T. Elsken, J. H. Metzen, F. Hutter, "Neural architecture search: a survey", 2019, https://arxiv.org/abs/1808.05377.
    Random search as a strong baseline: L. Li, A. Talwalkar, "Random search and reproducibility for neural architecture
    search", 2019, https://arxiv.org/abs/1902.07638.
    """
    if not callable(evaluate):
        raise TypeError(
            f"random_search: evaluate must be a function of a net that returns its score, got {shown(evaluate)}"
        )
    trials = whole(trials, "random_search", "trials", 1)
    num_classes = whole(num_classes, "random_search", "num_classes", 1)
    size = image_size("random_search", input_size)
    budget = Budget(limit("max_macs", max_macs), limit("max_params", max_params))
    sizes = {"kernels": kernels, "channels": channels, "hidden": hidden}
    nodes = Parser(pattern).parse()
    choices = Choices(
        _limits(pattern, letters(nodes), counts), *(_choices(name, given) for name, given in sizes.items())
    )
    draw = _Draw(random.Random(seed), choices)
    found: list[Candidate] = []
    seen: set[str] = set()
    cheapest: tuple[tuple[int, int], str] | None = None
    fault: PatternError | None = None
    for _ in range(trials * DRAWS_PER_TRIAL):
        if len(found) == trials:
            break
        text = "-".join(draw.words(nodes))
        if text in seen:
            continue
        seen.add(text)
        if len(seen) == LOOK and not found:
            check_possible(Least(nodes, choices, num_classes, pooling).cost(size), budget, cheapest, fault)
        try:
            params, macs = cost(text, size, num_classes, pooling=pooling)
        except PatternError as error:  # its image became too small, say
            fault = error
            continue
        if cheapest is None or (macs, params) < cheapest[0][::-1]:
            cheapest = (params, macs), text
        if budget.allows(params, macs):
            with fork_rng():
                manual_seed(draw.random.getrandbits(32))
                score, problem = _scored(evaluate, text, size, num_classes, pooling)
            found.append(Candidate(text, params, macs, score, problem))
    if cheapest is None:
        raise ValueError(f"random_search: none of {len(seen):,} texts that were drawn is a net; the last:\n{fault}")
    if not found:
        raise ValueError(
            f"random_search: of {len(seen):,} nets that were drawn, none is within the budget of {budget}. "
            + remedy(cheapest)
        )
    if all(candidate.score is None for candidate in found):
        raise RuntimeError(
            f"random_search: evaluate failed for each of {len(found)} nets; for the first, {found[0].text}: "
            f"{found[0].error}"
        )
    return sorted(found, key=lambda c: (c.score is None, -(c.score or 0.0), c.macs))


def _choices(name: str, given: Any) -> list[int]:
    """The sizes that are drawn from, after a check."""
    sizes = listed(given)
    try:
        found = [whole(n, "random_search", name, 1) for n in sizes] if isinstance(sizes, (tuple, list)) else []
    except ShapeError:
        found = []
    if not found:
        raise ValueError(
            f"random_search: {name} must be whole numbers from 1 to draw from, such as (3, 5), got {shown(given)}"
        )
    return found


class _Draw:
    """Draws the words of a net from a pattern."""

    def __init__(self, generator: random.Random, choices: Choices) -> None:
        self.random, self.choices = generator, choices

    def words(self, nodes: list[Node]) -> list[str]:
        """One net, with counts only where equal parts follow each other."""
        words: list[str] = []
        for i, node in enumerate(nodes):
            if isinstance(node, Layer):
                words.append(self.word(node, ends(nodes, i)))
            elif not node.optional or self.random.random() < 0.5:
                words += self.group(node)
        return words

    def group(self, node: Group) -> list[str]:
        """The repetitions of a group: "(CONV3-16-RELU)*2" if they are equal."""
        count = self.random.randint(*self.choices.limits[node.times]) if isinstance(node.times, str) else node.times
        if any(_varies(part) for part in node.body):
            return [word for _ in range(count) for word in self.words(node.body)]
        body = self.words(node.body) if count else []
        return body if count <= 1 else [f"({'-'.join(body)})*{count}"]

    def word(self, layer: Layer, ends: bool) -> str:
        """A layer, with the sizes that the pattern leaves open."""
        if layer.name == "CONV":
            kernel = layer.kernel or self.random.choice(self.choices.kernels)
            return conv_word(layer, kernel, layer.width or self.random.choice(self.choices.channels))
        if layer.name == "FC" and layer.width is None and not ends:
            return f"FC-{self.random.choice(self.choices.hidden)}"
        return layer.source


def _varies(node: Node) -> bool:
    """Whether a part has a count that is drawn, or can be left out."""
    return isinstance(node, Group) and (
        isinstance(node.times, str) or node.optional or any(_varies(part) for part in node.body)
    )


def _limits(pattern: str, used: set[str], counts: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """The least and largest value of each letter of the pattern."""
    limits: dict[str, Any] = {"N": (1, 3), "M": (1, 3), "K": (0, 2)}
    for letter, value in counts.items():
        if letter.upper() not in used:
            raise TypeError(f"random_search: there is no argument or letter {letter} in {pattern!r}")
        given = listed(value)
        try:
            pair = [whole(n, "", "", 0) for n in (given if isinstance(given, (tuple, list)) else (given, given))]
        except ShapeError:
            pair = []
        if len(pair) != 2 or pair[0] > pair[1]:
            raise ValueError(f"random_search: {letter} needs its least and largest value, as in (1, 3), got {value!r}")
        limits[letter.upper()] = pair[0], pair[1]
    for letter in sorted(used):
        if letter not in limits:
            raise ValueError(f"random_search: the letter {letter} of {pattern!r} needs limits: {letter}=(1, 3)")
    return limits


def _scored(
    evaluate: Callable[[nn.Module], float], text: str, input_size: Sequence[int], num_classes: int, pooling: str
) -> tuple[float | None, str | None]:
    """The score of a net, or the error of its evaluation."""
    try:
        score = float(evaluate(conv_net(text, input_size, num_classes, pooling=pooling)))
    except Exception as error:  # one bad net must not end the search
        return None, f"{type(error).__name__}: {error}"
    return (None, "the score is NaN") if math.isnan(score) else (score, None)
