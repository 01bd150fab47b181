"""Questions to answer with paper and pencil, for any numbers; the library computes the answers.

    template.py     a question for any numbers             question.py    a question, its answer, usual mistakes
    catalog.py      all of them, by topic and by id        answers.py     what a person types, as numbers
    sheet.py        to print, with answers or without

The questions: sizes.py, costs.py, nets.py, metrics.py, layers.py, curves.py, fields.py, inception.py, bugs.py. What
shapes, costs and fields are comes from the geometry of the kernels and from `minicnn.analysis`; the calculation that is
shown is another way to the same number, and the tests compare the two.
"""

from __future__ import annotations

from ...compat.missing import answer as _answer
from .catalog import TEMPLATES, TOPICS, generate, question, questions, slides
from .question import Mistake, Question, Verdict
from .sheet import sheet
from .template import Template

__all__ = [
    "TEMPLATES", "TOPICS", "Mistake", "Question", "Template", "Verdict", "generate", "question", "questions", "sheet",
    "slides",
]  # fmt: skip

_answer(globals())
