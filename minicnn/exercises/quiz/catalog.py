"""All questions: by topic, by name, by number, or those of the courses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from . import bugs, costs, curves, fields, inception, layers, metrics, nets, sizes
from .question import Question
from .template import Template

TOPICS: dict[str, tuple[str, Sequence[Template]]] = {
    "sizes": ("the size of outputs: kernel, stride, padding", sizes.TEMPLATES),
    "costs": ("parameters, MACs, FLOPs and memory of a layer", costs.TEMPLATES),
    "nets": ("shapes, parameters and memory of published nets", nets.TEMPLATES),
    "metrics": ("top-1 and top-5 accuracy", metrics.TEMPLATES),
    "layers": ("what has parameters, what is equivariant", layers.TEMPLATES),
    "curves": ("what curves of a training show, and what helps", curves.TEMPLATES),
    "fields": ("how much of the image a value depends on", fields.TEMPLATES),
    "inception": ("the Inception module", inception.TEMPLATES),
    "bugs": ("find the mistake in a program", bugs.TEMPLATES),
}
TEMPLATES: dict[str, Template] = {one.name: one for _, several in TOPICS.values() for one in several}
_TOPIC_OF = {one.name: topic for topic, (_, several) in TOPICS.items() for one in several}
SEEDS = 10_000  # of drawn questions: seeds below it, so that a name is short


def generate(template: str, seed: int = 0) -> Question:
    """A question with random numbers; its id, such as "output-size-7", gives the same question again.

    Args:
        template: a key of `TEMPLATES`, such as "output-size".
        seed: of the random numbers, from 0.

    Raises:
        ValueError: there is no such template, or the seed is below 0.

    >>> from minicnn.exercises.quiz import generate
    >>> question = generate("output-size", seed=7)
    >>> question.text[:48]
    'A filter of 2x2 slides over an image of 46 x 46 '
    >>> question.answer, question.check("13").right
    ((47, 47), False)
    """
    one = _template(template)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"generate: the seed must be a whole number from 0, got {seed!r}")
    found = one.ask(**one.draw(Random(f"{template}:{seed}")))
    return replace(found, id=f"{template}-{seed}", topic=_TOPIC_OF[template])


def slides(template: str) -> list[Question]:
    """The questions of a template that courses ask, with their numbers; ids such as "output-size-slide-1".

    Raises:
        ValueError: there is no such template.

    >>> from minicnn.exercises.quiz import slides
    >>> slides("output-size")[0].answer
    (5, 5)
    """
    one = _template(template)
    return [
        replace(one.ask(**numbers), id=f"{template}-slide-{i}", topic=_TOPIC_OF[template])
        for i, numbers in enumerate(one.slides, 1)
    ]


def question(id: str) -> Question:
    """The question with this id, such as "output-size-7" or "output-size-slide-1".

    Raises:
        ValueError: there is none.

    >>> from minicnn.exercises.quiz import question
    >>> question("output-size-7").answer
    (47, 47)
    """
    name, _, number = id.rpartition("-")
    if number.isdecimal() and name.removesuffix("-slide") in TEMPLATES:
        if not name.endswith("-slide"):
            return generate(name, int(number))
        several = slides(name.removesuffix("-slide"))
        if 1 <= int(number) <= len(several):
            return several[int(number) - 1]
        raise ValueError(
            f"quiz: there is no question {id!r}; {name.removesuffix('-slide')} has the slides 1 to {len(several)}"
        )
    raise ValueError(f"quiz: there is no question {id!r}; an id is a name and a number, such as output-size-7")


def questions(
    of: str | None = None, number: int | None = None, seed: int = 0, *, from_slides: bool = False
) -> list[Question]:
    """Several questions, all different.

    Args:
        of: a topic, the name of a template, or the id of one question; None for all topics.
        number: how many; by default 10, and with `from_slides` all there are. There may be fewer, where a template has
            few different questions.
        seed: of the choice and of the numbers.
        from_slides: those that courses ask, in their order.

    Raises:
        ValueError: there is no such topic, template or question, or the number is below 1.

    >>> from minicnn.exercises.quiz import questions
    >>> [question.kind for question in questions("output-size", 2)]
    ['shape', 'shape']
    """
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        raise ValueError(f"questions: number must be a whole number from 1, got {number!r}")
    names = _names(of)
    if names is None:
        assert of is not None
        return [question(of)]
    if from_slides:
        return [one for name in names for one in slides(name)][:number]
    random, found, known = Random(f"questions:{seed}"), list[Question](), set[tuple[str, str]]()
    count = 10 if number is None else number
    idle = 0
    while len(found) < count and idle < 20:  # turns; each has every template once, in another order
        random.shuffle(names)
        idle += 1
        for name in names:
            one = generate(name, random.randrange(SEEDS))
            if len(found) < count and (one.text, one.block) not in known:
                known.add((one.text, one.block))
                found.append(one)
                idle = 0
    return found


def _names(of: str | None) -> list[str] | None:
    """The templates that a topic or name stands for; None if it can only be an id."""
    if of is None:
        return list(TEMPLATES)
    if of in TOPICS:
        return [one.name for one in TOPICS[of][1]]
    if of in TEMPLATES:
        return [of]
    if of.rpartition("-")[2].isdecimal():
        return None
    raise ValueError(
        f"quiz: there is no topic or question {of!r}; topics: {', '.join(TOPICS)}; questions: {', '.join(TEMPLATES)}"
    )


def _template(name: str) -> Template:
    if name not in TEMPLATES:
        raise ValueError(f"quiz: there is no question {name!r}; there are {', '.join(TEMPLATES)}")
    return TEMPLATES[name]
