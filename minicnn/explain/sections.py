"""The words and tables that explain one number of a trace: an output, a gradient of an input or of a weight."""

from __future__ import annotations

import numpy as np

from .convolution import ConvTrace
from .dense import BatchNormTrace, LinearTrace
from .document import Section, grid, listed
from .pooling import PoolTrace
from .sums import Sum, number

CHANNELS = 4  # as many channels are shown as tables; of more, the sum
TIMES, DOT = "\N{MULTIPLICATION SIGN}", "\N{MIDDLE DOT}"

# --------------------------------------------------------------------------------------------------------- convolution


def conv_output(trace: ConvTrace, cell: tuple[int, ...]) -> Section:
    """y[n, o, i, j]: the window times the filter, channel by channel; then as row times column of im2col."""
    sum = trace.output(*cell)
    if trace.transposed:
        uses = int(sum.left.inside.sum())
        return Section(sum, [
            "A transposed convolution puts every pixel of x, times the filter, onto its output, and adds where these "
            f"overlap. Here {_times(uses, 'product')} meet: each is a pixel of x, times the weight of the filter that "
            "comes to lie on this output.", sum,
        ])  # fmt: skip
    o, shape = sum.right.cells[0, 0], (trace.w.shape[1:])
    section = Section(sum, [_window_words(trace, sum)])
    parts = [a.reshape(shape) for a in (sum.left.values, sum.right.values, sum.products)]
    inside = sum.left.inside.reshape(shape)
    first = int(sum.left.cells[:, 1].max()) - shape[0] + 1  # -1 is only along rows and columns
    for c in range(min(shape[0], CHANNELS)):
        x, w, products = (part[c] for part in parts)
        total = number(products.sum())
        names = (f"x[{sum.left.cells[0, 0]}, {first + c}]", f"w[{o}, {c}]", f"products, sum {total}")
        section.blocks.append([
            grid(names[0], x, inside[c]), TIMES, grid(names[1], w), "=", grid(names[2], products, inside[c]),
        ])  # fmt: skip
    if shape[0] > CHANNELS:
        rest = number(parts[2][CHANNELS:].sum())
        section.blocks.append(f"... and {shape[0] - CHANNELS} more channels, whose products sum to {rest}.")
    section.blocks += [f"Total: {sum.result()}.", _im2col_words(trace, sum)]
    return section


def _window_words(trace: ConvTrace, sum: Sum) -> str:
    rows, columns = (sorted({int(k) for k in sum.left.cells[:, axis] if k >= 0}) for axis in (2, 3))
    text = f"The window has the rows {_some(rows)} and the columns {_some(columns)} of x."
    if trace.flipped:
        text += " The filter is turned by 180 degrees before it is put there: the last weight meets the first pixel."
    if not sum.left.inside.all():
        text += f" {DOT} is padding, which adds nothing."
    return text


def _im2col_words(trace: ConvTrace, sum: Sum) -> str:
    """The same number as one number of a matrix product."""
    o, column = int(sum.right.cells[0, 0]), sum.place[2] * trace.y.shape[3] + sum.place[3]
    row, pixels = sum.right.values, sum.left.values
    if trace.flipped:
        row, pixels = (a.reshape(trace.w.shape[1:])[:, ::-1, ::-1].ravel() for a in (row, pixels))
    turned = " turned by 180 degrees," if trace.flipped else ""
    return (
        f"im2col: the {len(sum.products)} pixels of the window are column {column} of the matrix col, in the order "
        f"(c, a, b), and the weights are row {o} of w{turned} as a matrix. Row times column is the same sum: "
        f"{listed(row)} {DOT} {listed(pixels)} = {number(sum.products.sum())}."
    )


def conv_input_gradient(trace: ConvTrace, cell: tuple[int, ...]) -> Section:
    """gx[n, c, p, q]: every output that used the pixel."""
    sum = trace.input_gradient(*cell)
    if trace.transposed:
        return Section(sum, [
            "This pixel of x was put, times the filter, onto a window of the output. So its gradient is what a "
            "convolution of gy computes there: window times filter.", sum,
        ])  # fmt: skip
    uses, filters = len(sum.products), trace.windows.filters
    words = (
        f"This pixel lies in {_times(uses // filters, 'window')}"
        + (f", and each of {filters} filters used it there" if filters > 1 else "")
        + f": {_times(uses, 'output')} depend on it. A change of the pixel by d changes each of them by d times the "
        "weight that was over the pixel. So its gradient is the sum, over all of them, of gy times that weight; col2im "
        "adds it up."
    )
    section = Section(sum, [words if uses else "No window has this pixel, so no output depends on it."])
    if uses and filters == 1:
        n, o = sum.left.cells[0, :2]
        marked = [(int(i), int(j)) for i, j in sum.left.cells[:, 2:]]
        used = [(int(a), int(b)) for a, b in sum.right.cells[:, 2:]]
        if trace.gy[n, o].size <= 144:
            section.blocks.append([
                grid(f"gy[{n}, {o}]", trace.gy[n, o], marked=marked), "and",
                grid(f"w[{o}, {sum.right.cells[0, 1]}]", trace.w[o, sum.right.cells[0, 1]], marked=used),
            ])  # fmt: skip
    section.blocks.append(sum)
    return section


def conv_weight_gradient(trace: ConvTrace, cell: tuple[int, ...]) -> Section:
    """gw[o, c, a, b]: every window."""
    sum = trace.weight_gradient(*cell)
    padding = len(sum.products) - int((sum.left.inside & sum.right.inside).sum())
    words = (
        f"The same weight is used in all {_times(len(sum.products), 'window')} of the batch"
        + (f" ({padding} times over padding)" if padding else "")
        + ". Each use adds gy of that output, times the pixel that was under the weight."
    )
    return Section(sum, [words, sum])


# ------------------------------------------------------------------------------------------------------------- pooling


def pool_output(trace: PoolTrace, cell: tuple[int, ...]) -> Section:
    """y[n, c, i, j]: the window, with the value that is taken."""
    sum = trace.output(*cell)
    n, c, i, j = sum.place
    rows, columns = trace.rows[i], trace.columns[j]
    window = trace.x[n, c][np.ix_(rows, columns)]
    inside = (rows >= 0)[:, None] & (columns >= 0)
    marked = []
    if trace.taken is not None:
        p, q = (int(k) for k in sum.left.cells[0, 2:])
        marked = [(int(a), int(b)) for a, b in zip(*np.nonzero((rows == p)[:, None] & (columns == q)), strict=True)]
        words = "The largest value of the window is taken; of equal ones the first. Padding is never the largest."
    else:
        assert trace.counts is not None
        words = f"The values of the window are added and divided by {number(trace.counts[i, j])}."
    return Section(sum, [words, [grid(f"x[{n}, {c}]", window, inside, marked)], sum])


def pool_input_gradient(trace: PoolTrace, cell: tuple[int, ...]) -> Section:
    """gx[n, c, p, q]: the windows that have the pixel, or that took it."""
    sum = trace.input_gradient(*cell)
    p, q = sum.place[2:]
    having = len(trace.windows_of(p, q)[0])
    words = f"The pixel lies in {_times(having, 'window')}"
    if trace.taken is None:
        words += ". Each spreads its gradient equally over all values of its window."
    else:
        took = len(sum.products)
        words += (
            f"; in {took or 'none'} of them it was the largest. These pass it their whole gradient, the others nothing."
        )
    return Section(sum, [words, sum])


# ------------------------------------------------------------------------------------------------ linear and batch norm


def linear_output(trace: LinearTrace, cell: tuple[int, ...]) -> Section:
    """y[n, o]."""
    sum = trace.output(*cell)
    return Section(sum, [f"Every one of the {trace.x.shape[1]} inputs has a weight of its own for this output.", sum])


def linear_input_gradient(trace: LinearTrace, cell: tuple[int, ...]) -> Section:
    """gx[n, k]."""
    sum = trace.input_gradient(*cell)
    return Section(
        sum, [f"All {trace.w.shape[0]} outputs depend on this input, each through a weight of its own.", sum]
    )


def linear_weight_gradient(trace: LinearTrace, cell: tuple[int, ...]) -> Section:
    """gw[o, k]."""
    sum = trace.weight_gradient(*cell)
    uses = _times(trace.x.shape[0], "sample")
    return Section(sum, [f"The weight is used once in each of {uses}; each adds gy times the input.", sum])


def norm_output(trace: BatchNormTrace, cell: tuple[int, ...]) -> Section:
    """y[n, c, ...]."""
    sum = trace.output(*cell)
    place = sum.place
    c = place[1]
    source = f"all {trace.x[:, c].size} values of the channel in the batch" if trace.training else "training, kept"
    words = (
        f"Channel {c} has mean {number(trace.mean[c])} and variance {number(trace.var[c])}, of {source}. "
        f"xhat = (x - mean)/sqrt(var + eps) = ({number(trace.x[place])} - {number(trace.mean[c])}) * "
        f"{number(trace.invstd[c])} = {number(sum.right.values[0])}."
    )
    return Section(sum, [words, sum])


def norm_input_gradient(trace: BatchNormTrace, cell: tuple[int, ...]) -> Section:
    """gx[n, c, ...]."""
    sum = trace.input_gradient(*cell)
    words = "Mean and variance are constants in evaluation, so only the scale is left."
    if trace.training:
        words = (
            "The value moves its own output, and the mean and the variance of its channel, and so all outputs of the "
            "channel: three terms. The second takes the mean out of gy, the third what is like xhat."
        )
    return Section(sum, [words, sum])


def norm_weight_gradient(trace: BatchNormTrace, cell: tuple[int, ...]) -> Section:
    """ggamma[c]."""
    sum = trace.weight_gradient(*cell)
    return Section(sum, ["gamma multiplies every xhat of its channel; each adds gy times xhat.", sum])


# --------------------------------------------------------------------------------------------------------------- words


def _times(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _some(numbers: list[int]) -> str:
    """ "1, 2, 3", or "0 to 10" for many that follow each other."""
    if len(numbers) > 4 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers)) if numbers else "none"
