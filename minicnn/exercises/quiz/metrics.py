"""Accuracy from a table of scores; `minicnn.train.metrics` counts."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from ...train.metrics import accuracy, ranks
from .question import Question, count, usual_mistakes
from .template import Template

CLASSES = ("Apple", "Bike", "Car", "Cat", "Dog", "Pear", "Plane", "Ship", "Tree")
SLIDE_SCORES = (
    (15, 10, 2, 5, 20, 8, 1), (2, 5, 10, 8, 4, 12, 3), (12, 2, 1, 6, 4, 5, 9), (1, 2, 3, 4, 5, 6, 7),
    (7, 6, 5, 4, 3, 2, 1),
)  # fmt: skip
SLIDE_TARGETS = (0, 2, 2, 6, 1)


def top_k(scores: Sequence[Sequence[float]], targets: Sequence[int], k: int = 1, error: bool = False) -> Question:
    """What is the top-k accuracy, or the top-k error, of a table of scores?

    Args:
        scores: a row a sample, a column a class.
        targets: the true class of each sample.
        k: the class may be among the k with the highest scores.
        error: ask for the error, 100 % minus the accuracy.
    """
    table, true = np.asarray(scores), np.asarray(targets)
    (share,) = accuracy(table, true, (k,))
    place, n = ranks(table, true), len(true)
    hits = int(np.count_nonzero(place < k))
    right = 100 * share
    answer = 100 - right if error else right
    names = [CLASSES[i] if i < len(CLASSES) else f"class {i}" for i in range(table.shape[1])]
    steps = [
        f"sample {i}: {names[t]} has rank {r + 1} of {len(names)}: {'right' if r < k else 'wrong'}"
        for i, (t, r) in enumerate(zip(true, place, strict=True), 1)
    ]
    steps.append(f"right: {hits} of {n}: 100*{hits}/{n} = {count(right)} %")
    if error:
        steps.append(f"error: 100 - {count(right)} = {count(answer)} %")
    lowest = ranks(-table, true)
    wrong: list[tuple[Any, str]] = [
        (100 - answer, "this is the accuracy, not the error" if error else "this is the error, not the accuracy"),
        (100 * float(np.mean(lowest < k)), "you took the lowest scores"),
        (100 * float(np.mean(place == k - 1)), f"you counted the samples whose class has rank {k} exactly"),
    ]
    if k > 1:
        wrong.append((100 * accuracy(table, true, (1,))[0], "this is the top-1 accuracy"))
    width = max(map(len, names)) + 2
    lines = ["sample  true class" + "".join(f"{name:>{width}}" for name in names)]
    lines += [
        f"{i:>6}  {names[t]:<10}" + "".join(f"{count(v):>{width}}" for v in row)
        for i, (t, row) in enumerate(zip(true, table.tolist(), strict=True), 1)
    ]
    return Question(
        text=f"A net gives these scores. What is the top-{k} {'error' if error else 'accuracy'}, in percent?",
        kind="number", answer=answer, unit="%", steps=tuple(steps), mistakes=usual_mistakes(answer, wrong),
        block="\n".join(lines),
    )  # fmt: skip


def _draw(random: Random) -> dict[str, Any]:
    classes, samples = random.randint(5, 8), random.choice((4, 5, 5, 8, 10))
    scores = [random.sample(range(-5, 25), classes) for _ in range(samples)]  # no two alike in a row
    k = random.choice([k for k in (1, 1, 2, 3, 5) if k < classes])
    targets = []
    for row in scores:  # half of the samples are right
        order = sorted(range(classes), key=lambda c: -row[c])
        targets.append(order[random.randrange(k) if random.random() < 0.5 else random.randrange(classes)])
    return {"scores": scores, "targets": targets, "k": k, "error": random.random() < 0.3}


_SLIDE = {"scores": SLIDE_SCORES, "targets": SLIDE_TARGETS}
TEMPLATES = (
    Template("top-k", "the accuracy from a table of scores", top_k, _draw,
             [{**_SLIDE, "k": 1}, {**_SLIDE, "k": 5}, {**_SLIDE, "k": 5, "error": True}]),
)  # fmt: skip
