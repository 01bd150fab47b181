"""The tape, drawn: the graph of a loss with its values, and the gradients that flow back along it, step by step.

Files:
    graph_words.py    the words in the boxes         graph_text.py     a table for the terminal
    graph_figure.py   figures, with the layout of    graph_markup.py   Mermaid and DOT
    nested.py         boxes inside frames
"""

from __future__ import annotations

import html
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..explain.collapsed import Drawn, collapsed
from ..explain.recorded import recorded
from ..explain.tape import Tape
from ..nn import Module
from ..serialization.files import write_atomically
from ..tensor import Tensor
from .animation import animate
from .graph_figure import Picture
from .graph_markup import dot, mermaid
from .graph_text import table
from .graph_words import Look, caption
from .style import STYLE, check_format

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Out = str | os.PathLike[str]
TEXTS = (".txt", ".mmd", ".dot", ".gv")
MOST_FRAMES = 200  # of an animation
MOST_SHOWN = 60  # boxes of a picture in a notebook; more are shown as a table


def graph(
    loss: Tensor | Callable[[], Tensor] | Tape,
    model: Module | None = None,
    *,
    depth: int | None = None,
    values: bool = True,
    gradients: bool = True,
    grad: Tensor | None = None,
    step: int | None = None,
    names: Mapping[str, Tensor] | None = None,
    constants: bool = True,
    title: str | None = None,
    out: Out | None = None,
) -> TapeGraph:
    """Return the graph that the tape recorded: `print` shows it as a table, a notebook as a picture.

        graph(lambda: (a * b + c).tanh())                     every value and gradient of a formula
        graph(lambda: loss_fn(net(x), y), net, depth=2)       a net with its blocks as boxes
        graph(loss, net)                                      a loss that is there already
        graph(loss).save("tape.svg")                          or .png .pdf .txt .mmd (Mermaid) .dot .gif (all steps)

    The gradients are those of a backward pass by the engine, which leaves nothing behind: no `.grad` changes, and the
    graph is kept for the `loss.backward()` that may follow. Gradients that meet at a tensor are shown one by one, and
    their sum.

    Args:
        loss: a tensor; a function that computes it and is called once; or a `Tape` of `explain.recorded`. The tape does
            not keep the results of operations: with a function, all values are shown, and the modules exactly; with a
            tensor, as far as what was saved tells them.
        model: gives the names of parameters and modules; with a function, it is left as it was.
        depth: calls of modules this deep inside others are one box: 0 is the whole net, 1 its parts. None: all
            operations, with the modules as frames.
        values: write the values of tensors: all if there are four or fewer, else their norm, mean and deviation.
        gradients: follow a backward pass.
        grad: the gradient that it starts from; 1 for a scalar.
        step: show the backward pass after so many steps; 0 is its start. None: after the last one.
        names: more names, such as `{"d": d}` or `locals()`.
        constants: show tensors that get no gradient.
        title: above a figure.
        out: a file to write; the ending says what.

    Raises:
        TypeError, RuntimeError: as `explain.recorded`.
        ValueError: there is no such step or depth, or no file of this kind can be written.

    >>> w, x = minicnn.tensor(3., requires_grad=True), minicnn.tensor(2.)
    >>> print(minicnn.visualize.graph((w * x - 1) ** 2))
    3 operations from 1 input to the result
    <BLANKLINE>
    step  operation  saved  result  value  gradient  sends to
    ---------------------------------------------------------
    1     Pow        5, 2   scalar  25     1         Sub (2): 10
    2     Sub               scalar  5      10        Mul (3): 10
    3     Mul        2      scalar  6      10        input: 20
    <BLANKLINE>
    leaf  kind   shape   value  gradient  from step
    -----------------------------------------------
    -     input  scalar  3      20        3
    """
    if isinstance(loss, Tape):
        given = {"model": model, "grad": grad, "names": names}
        if extra := [name for name, value in given.items() if value is not None]:
            raise TypeError(
                f"graph: a Tape has been recorded already, so {', '.join(extra)} has no effect; leave it out"
            )
        tape = loss
    else:
        tape = recorded(loss, model, names=names, gradients=gradients, grad=grad, op="graph")
    drawn = collapsed(tape, depth, constants)
    found = TapeGraph(tape, drawn, Look(values, gradients and tape.backward), title)
    found = found if step is None else found.at(step)
    if out is not None:
        found.save(out)
    return found


class TapeGraph:
    """What `graph` returns.

    Attributes:
        tape: all numbers, as data: operations, leaves, contributions.
        drawn: the boxes and links.
        look: what is shown of them.
        title: above a figure.
    """

    def __init__(self, tape: Tape, drawn: Drawn, look: Look, title: str | None = None) -> None:
        self.tape, self.drawn, self.look, self.title = tape, drawn, look, title
        self._picture: Picture | None = None

    @property
    def steps(self) -> int:
        """The number of steps of the backward pass."""
        return len(self.tape.steps)

    def at(self, step: int | None) -> TapeGraph:
        """Return the same graph after so many steps of the backward pass, drawn at the same places.

        Raises:
            ValueError: there is no such step, or no backward pass was followed.
        """
        if step is not None:
            if not self.look.gradients:
                raise ValueError("graph: no backward pass was followed, so it has no steps; pass gradients=True")
            if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= self.steps:
                raise ValueError(f"graph: step must be a whole number from 0 to {self.steps}, got {step!r}")
        other = TapeGraph(self.tape, self.drawn, self.look._replace(step=step), self.title)
        other._picture = self._picture
        return other

    def __str__(self) -> str:
        return table(self.tape, self.drawn, self.look)

    __repr__ = __str__

    def mermaid(self) -> str:
        """Return a flowchart in the language of Mermaid, which GitHub draws in Markdown files."""
        return mermaid(self.drawn, self.look)

    def dot(self) -> str:
        """Return a graph in the DOT language, which Graphviz draws."""
        return dot(self.drawn, self.look)

    def figure(self, out: Out | None = None) -> Figure:
        """Return a Matplotlib figure, and write it to `out` if given.

        Raises:
            ValueError: the drawing would be too large, or no figure can be written to `out`.
        """
        if self._picture is None:
            self._picture = Picture(self.drawn, self.look)
        if self.look.step is None:
            return self._picture.draw(self.look, self.title, out=out)
        titles = [self._caption(step) for step in range(self.steps + 1)]
        return self._picture.draw(self.look, titles[self.look.step], titles, out)

    def _caption(self, step: int) -> str:
        text = caption(self.drawn.boxes, step, self.steps)
        return f"{self.title}. {text}" if self.title else text

    def svg(self) -> str:
        """Return the figure as an SVG element, without an XML header."""
        import matplotlib

        content = io.StringIO()
        with matplotlib.rc_context(STYLE), matplotlib.rc_context({"svg.hashsalt": "minicnn"}):  # type: ignore[arg-type,unused-ignore]
            self.figure().savefig(content, format="svg", metadata={"Date": None})
        text = content.getvalue()
        return text[text.index("<svg") :]

    def animate(self, out: Out, seconds: float = 1.0) -> None:
        """Write a GIF with a picture for each step of the backward pass.

        Raises:
            ValueError: `out` is no .gif, no backward pass was followed, or there are more than 200 steps.
        """
        if Path(out).suffix.lower() != ".gif":
            raise ValueError(f"graph: an animation is a GIF; {os.fspath(out)!r} must end in .gif")
        if self.steps > MOST_FRAMES:
            raise ValueError(f"graph: an animation of {self.steps} steps is too long; draw single ones with step=")
        first = self.at(0)
        first.figure()  # finds the places, for all frames
        animate((first.at(step).figure() for step in range(self.steps + 1)), out, seconds)

    def save(self, out: Out) -> None:
        """Write the graph to a file: .txt (the table), .mmd (Mermaid), .dot, .gif (all steps), or as a figure.

        Raises:
            ValueError: the ending is none of these and none of Matplotlib's.
        """
        ending = Path(out).suffix.lower()
        if ending == ".gif":
            self.animate(out)
        elif ending in TEXTS:
            text = str(self) + "\n" if ending == ".txt" else self.mermaid() if ending == ".mmd" else self.dot()
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(out, text.encode())
        else:
            try:
                check_format(out)
            except ValueError as error:
                raise ValueError(f"{error}; for a graph also {', '.join(TEXTS)} and .gif") from None
            self.figure(out)

    def _repr_html_(self) -> str:
        """The picture; of a large graph, the table."""
        if len(self.drawn.boxes) <= MOST_SHOWN:
            return f'<div style="overflow: auto">{self.svg()}</div>'
        return f"<pre>{html.escape(str(self))}</pre>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The text and the picture; a notebook keeps both."""
        found = {"text/plain": str(self), "text/html": self._repr_html_()}
        return {
            kind: text
            for kind, text in found.items()
            if (not include or kind in include) and not (exclude and kind in exclude)
        }
