"""Comparisons of layers and blocks that do the same job: shapes in and out agree, the costs do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...device import Device as device
from ...nn import Conv2d, Flatten, Linear, Module, Sequential
from ...ops.tensor.concatenate import cat
from ...tensor import Tensor
from ..table import Table
from .costs import cost

Size = tuple[int, int, int]
COLUMNS = ["", "parameters", "MACs", "FLOPs", "output", "output bytes"]
CONVENTION = "For one image; 1 MAC is 2 FLOPs, adding a bias 1 per output, a comparison of max pooling 1."


def compare(title: str, size: Sequence[int], nets: Mapping[str, Callable[[], Module]]) -> Table:
    """Any layers or nets side by side: one row each, with parameters, MACs, FLOPs, output and its bytes.

    Args:
        title: of the table.
        size: the shape of one image, (C, H, W).
        nets: name -> function that makes the layer or net, such as {"conv": lambda: nn.Conv2d(1, 256, 3)}. It is called
            on the meta device: nothing is allocated or computed.

    >>> print(minicnn.analysis.comparisons.compare("Filters", (3, 32, 32), {"3x3": lambda: nn.Conv2d(3, 8, 3)}))
    Filters
    --------------------------------------------------------
         parameters     MACs    FLOPs   output  output bytes
    --------------------------------------------------------
    3x3         224  194,400  396,000  8x30x30        28,800
    --------------------------------------------------------
    For one image; 1 MAC is 2 FLOPs, adding a bias 1 per output, a comparison of max pooling 1.
    """
    rows = []
    for name, make in nets.items():
        with device("meta"):
            net = make()
        one = cost(net, size)
        rows.append([name, one.parameters, one.macs, one.flops, one.output, one.output_bytes])
    return Table(title, COLUMNS, rows, [CONVENTION])


def stacked(
    layers: int = 3, kernel: int = 3, channels: int = 64, size: int = 56, *, in_channels: int | None = None
) -> Table:
    """A stack of small kernels against one large kernel that sees as much: three 3x3 against one 7x7.

    n layers of kxk see r = 1 + n (k - 1) pixels across. With C channels everywhere they have n k^2 C^2 weights, one
    layer of rxr has r^2 C^2: 27 C^2 against 49 C^2 for three 3x3. The stack has n nonlinearities instead of one.

    Args:
        layers, kernel: n and k; k is odd.
        channels: C, of the input and of every output.
        size: height and width of the image; padding keeps it.
        in_channels: of the image, if it differs from C: the first layer then costs less.

    K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014,
    https://arxiv.org/abs/1409.1556, section 2.3.

    >>> print(minicnn.analysis.comparisons.stacked(channels=64))
    3 x 3x3 against 1 x 7x7
    -----------------------------------------------------------------------------
             receptive field  nonlinearities  weights  weights / C^2         MACs
    -----------------------------------------------------------------------------
    3 x 3x3                7               3  110,592             27  346,816,512
    1 x 7x7                7               1  200,704             49  629,407,744
    -----------------------------------------------------------------------------
    C = 64 channels, 56x56 pixels, no biases: 55% of the weights.
    """
    _check("stacked", layers=layers, kernel=kernel, channels=channels, size=size)
    if kernel % 2 == 0:
        raise ValueError(f"stacked: kernel must be odd, so that padding keeps the size; got {kernel}")
    first, wide = in_channels or channels, 1 + layers * (kernel - 1)
    inputs = [first] + [channels] * (layers - 1)

    def small() -> Module:
        return Sequential(*(Conv2d(c, channels, kernel, padding=kernel // 2, bias=False) for c in inputs))

    def large() -> Module:
        return Sequential(Conv2d(first, channels, wide, padding=wide // 2, bias=False))

    rows: list[list[Any]] = []
    for name, make in ((f"{layers} x {kernel}x{kernel}", small), (f"1 x {wide}x{wide}", large)):
        with device("meta"):
            net = make()
        one = cost(net, (first, size, size))
        square = one.weights / channels**2
        rows.append([name, wide, len(list(net.children())), one.weights, square, one.macs])
    columns = ["", "receptive field", "nonlinearities", "weights", "weights / C^2", "MACs"]
    note = f"C = {channels} channels, {size}x{size} pixels, no biases: {rows[0][3] / rows[1][3]:.0%} of the weights."
    return Table(f"{rows[0][0]} against {rows[1][0]}", columns, rows, [note])


def separable(
    in_channels: int = 512,
    out_channels: int | None = None,
    kernel: int = 3,
    size: int = 14,
    *,
    padding: int | str = "same",
    bias: bool = False,
) -> Table:
    """A depthwise-separable convolution against a full one.

        full        k^2 C O H W multiplications           C filters and O filters see all channels at once
        depthwise   k^2 C H W                             one filter per channel
        pointwise   C O H W                               1x1, mixes the channels

    The ratio is 1 / (1/O + 1/k^2): 7.89 for 64 channels and 3x3, at most k^2 = 9.

    Args:
        in_channels, out_channels: C and O; by default O = C.
        kernel: k.
        size: height and width of the image.
        padding: of the kxk convolution.
        bias: of every layer.

    A. G. Howard et al., "MobileNets", 2017, https://arxiv.org/abs/1704.04861; F. Chollet, "Xception", 2016,
    https://arxiv.org/abs/1610.02357.

    >>> print(minicnn.analysis.comparisons.separable(64))
    Convolution 3x3 of 64 channels to 64, full and separable
    ------------------------------------------------------
               parameters       MACs       FLOPs    output
    ------------------------------------------------------
    full           36,864  7,225,344  14,450,688  64x14x14
    separable       4,672    915,712   1,831,424  64x14x14
    ------------------------------------------------------
    The full convolution has 7.89 times the parameters and 7.89 times the MACs.
    """
    out = out_channels or in_channels
    _check("separable", in_channels=in_channels, out_channels=out, kernel=kernel, size=size)

    def depthwise() -> Module:
        return Conv2d(in_channels, in_channels, kernel, padding=padding, groups=in_channels, bias=bias)

    def pointwise() -> Module:
        return Conv2d(in_channels, out, 1, bias=bias)

    table = compare(
        f"Convolution {kernel}x{kernel} of {in_channels} channels to {out}, full and separable",
        (in_channels, size, size),
        {
            "full": lambda: Conv2d(in_channels, out, kernel, padding=padding, bias=bias),
            "separable": lambda: Sequential(depthwise(), pointwise()),
        },
    )
    keep = [COLUMNS.index(c) for c in ("", "parameters", "MACs", "FLOPs", "output")]
    rows = [[row[i] for i in keep] for row in table.rows]
    (_, full, macs, *_), (_, few, less, *_) = rows
    note = f"The full convolution has {full / few:.2f} times the parameters and {macs / less:.2f} times the MACs."
    return Table(table.title, [COLUMNS[i] for i in keep], rows, [note])


def bottleneck(channels: int = 256, width: int = 64, cardinality: int = 32, size: int = 56) -> Table:
    """The residual blocks for C channels in and out: two 3x3, the bottleneck of ResNet, and that of ResNeXt.

        two 3x3       C -> C -> C                             18 C^2 weights
        bottleneck    C -1x1-> w -3x3-> w -1x1-> C            2 C w + 9 w^2
        ResNeXt       the same with 2w in the middle, in g groups: 2 C 2w + 9 (2w)^2 / g

    Args:
        channels: C.
        width: w, inside the bottleneck; the block of ResNeXt has twice as many, as in its paper's figure 1.
        cardinality: g, the groups of ResNeXt.
        size: height and width of the image.

    K. He et al., "Deep residual learning for image recognition", 2015, https://arxiv.org/abs/1512.03385, figure 5;
    S. Xie et al., "Aggregated residual transformations for deep neural networks", 2016,
    https://arxiv.org/abs/1611.05431, figure 1.
    """
    _check("bottleneck", channels=channels, width=width, cardinality=cardinality, size=size)
    if 2 * width % cardinality:
        raise ValueError(f"bottleneck: 2 * width = {2 * width} channels cannot be in {cardinality} equal groups")

    def narrow(inside: int, groups: int) -> Module:
        return Sequential(
            Conv2d(channels, inside, 1, bias=False),
            Conv2d(inside, inside, 3, padding=1, groups=groups, bias=False),
            Conv2d(inside, channels, 1, bias=False),
        )

    def basic() -> Module:
        return Sequential(*(Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2)))

    table = compare(
        f"Residual blocks with {channels} channels in and out",
        (channels, size, size),
        {
            "two 3x3": basic,
            "bottleneck": lambda: narrow(width, 1),
            "ResNeXt": lambda: narrow(2 * width, cardinality),
        },
    )
    rows = [[row[0], row[1], row[2], row[1] / table.rows[0][1]] for row in table.rows]
    note = (
        f"Bottleneck: {width} channels inside. ResNeXt: {2 * width} channels in {cardinality} groups of "
        f"{2 * width // cardinality}. No biases, no batch norm; shortcuts cost nothing."
    )
    return Table(table.title, ["", "weights", "MACs", "share"], rows, [note])


def fire(in_channels: int = 96, squeeze: int = 16, expand: tuple[int, int] = (64, 64), size: int = 55) -> Table:
    """The Fire module of SqueezeNet against one 3x3 convolution with as many outputs.

        fire    C -1x1-> s, then s -1x1-> e1 and s -3x3-> e3 side by side: C s + s e1 + 9 s e3 weights, and biases

    Args:
        in_channels: C.
        squeeze: s.
        expand: (e1, e3).
        size: height and width of the image.

    F. N. Iandola et al., "SqueezeNet", 2016, https://arxiv.org/abs/1602.07360.
    """
    _check("fire", in_channels=in_channels, squeeze=squeeze, expand=min(expand), size=size)

    def module() -> Module:
        sides = [Conv2d(squeeze, expand[0], 1), Conv2d(squeeze, expand[1], 3, padding=1)]
        return Sequential(Conv2d(in_channels, squeeze, 1), Branches(*sides))

    table = compare(
        f"Fire module of {in_channels} channels to {sum(expand)}",
        (in_channels, size, size),
        {"3x3": lambda: Conv2d(in_channels, sum(expand), 3, padding=1), "fire": module},
    )
    keep = [COLUMNS.index(c) for c in ("", "parameters", "MACs", "output")]
    rows = [[row[i] for i in keep] for row in table.rows]
    note = f"The convolution has {rows[0][1] / rows[1][1]:.2f} times the parameters."
    return Table(table.title, [COLUMNS[i] for i in keep], rows, [note])


def factorised(kernel: int = 7, channels: int = 128, size: int = 17) -> Table:
    """A kxk convolution, the same as 1xk and kx1, and as a stack of 3x3.

    Per pair of input and output channel: k^2 weights, 2k weights, and 9 (k - 1) / 2. For k = 5: 25, 10 and 18.

    Args:
        kernel: k, odd and at least 3.
        channels: C, of the input and of every output.
        size: height and width of the image; padding keeps it.

    C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015,
    https://arxiv.org/abs/1512.00567, section 3.
    """
    _check("factorised", kernel=kernel, channels=channels, size=size)
    if kernel % 2 == 0 or kernel < 3:
        raise ValueError(f"factorised: kernel must be odd and at least 3, got {kernel}")

    def chain(*kernels: tuple[int, int]) -> Callable[[], Module]:
        return lambda: Sequential(*(Conv2d(channels, channels, k, padding="same", bias=False) for k in kernels))

    count = (kernel - 1) // 2
    table = compare(
        f"Ways to see {kernel}x{kernel} pixels",
        (channels, size, size),
        {
            f"{kernel}x{kernel}": chain((kernel, kernel)),
            f"1x{kernel} + {kernel}x1": chain((1, kernel), (kernel, 1)),
            f"{count} x 3x3": chain(*[(3, 3)] * count),
        },
    )
    rows = [[row[0], row[1] / channels**2, row[1], row[2]] for row in table.rows]
    columns = ["", "weights per channel pair", "weights", "MACs"]
    return Table(table.title, columns, rows, [f"{channels} channels everywhere, no biases."])


def fully_connected(
    size: Size = (1, 28, 28), units: int = 256, kernel: int = 3, *, stride: int = 1, padding: int = 0
) -> Table:
    """A fully connected layer against a convolution: local windows, and the same weights at every place.

        fully connected, n units     each sees the whole image: C H W n weights
        fully connected, O OH OW     as many outputs as the convolution has
        unshared                     each output sees its window only: O OH OW (k^2 C + 1) parameters, counted
        convolution                  one filter for all places of a map: O (k^2 C + 1)

    Args:
        size: the shape of the image, (C, H, W).
        units: n, the units of the first row, and O, the filters of the convolution.
        kernel, stride, padding: of the convolution.
    """
    _check("fully_connected", units=units, kernel=kernel, stride=stride)

    def convolution() -> Module:
        return Conv2d(size[0], units, kernel, stride=stride, padding=padding)

    with device("meta"):
        conv = cost(convolution(), size)
    values = size[0] * size[1] * size[2]
    many = conv.output[0] * conv.output[1] * conv.output[2]

    def dense(outputs: int) -> Callable[[], Module]:
        return lambda: Sequential(Flatten(), Linear(values, outputs))

    names = [f"fully connected, {units} units", f"fully connected, {many:,} units", "convolution"]
    table = compare(
        f"Fully connected layer and {kernel}x{kernel} convolution on an image {size[0]}x{size[1]}x{size[2]}",
        size,
        {names[0]: dense(units), names[1]: dense(many), names[2]: convolution},
    )
    places = conv.output[1] * conv.output[2]
    unshared = ["unshared windows", conv.parameters * places, conv.macs, conv.flops, conv.output, conv.output_bytes]
    rows = [*table.rows[:-1], unshared, table.rows[-1]]
    note = f"Sharing divides the parameters by the {places:,} places of the kernel."
    return Table(table.title, COLUMNS, rows, [CONVENTION, note])


class Branches(Module):
    """Layers side by side on the same input; their outputs are concatenated along the channels."""

    def __init__(self, *branches: Module) -> None:
        super().__init__()
        for number, branch in enumerate(branches):
            self.add_module(str(number), branch)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, sum of the branches' channels, H, W)."""
        return cat([branch(input) for branch in self.children()], 1)


def _check(name: str, **sizes: int) -> None:
    """Refuse sizes that are no positive whole numbers."""
    for key, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: {key} must be a whole number from 1, got {value!r}")
