"""LeNet-5: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..ops.tensor.concatenate import cat
from ..ops.tensor.creation import empty, tensor
from ..tensor import Tensor
from .weights import with_weights

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class LeNet5(nn.Module):
    """The first famous convolutional net, as the courses teach it, with 61,706 parameters.

        input     1 x 32 x 32
        conv 5x5  6 x 28 x 28        156 parameters       then activation, 2x2 pooling -> 6 x 14 x 14
        conv 5x5  16 x 10 x 10     2,416                  then activation, 2x2 pooling -> 16 x 5 x 5
        linear    120             48,120                  then activation
        linear    84              10,164                  then activation
        linear    10                 850

    The third stage is a 5x5 convolution of a 5x5 image in the paper. It has one place to be, so it is the same as a
    linear layer: some courses draw the one, some the other. `LeNet5Original` is the net of the paper.

    Args:
        num_classes: outputs.
        activation: "tanh" or "relu".
        pool: "max" or "avg".
        in_channels: 1 for grey images.
        padding: of the first convolution: 0 for images of 32 x 32, 2 for those of 28 x 28, as MNIST has.
        third: the third stage: "fc" for a linear layer, or "conv". The weights are the same 120 x 400 numbers.

    Shape: (N, in_channels, 32, 32) -> logits (N, num_classes).

    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proceedings
    of the IEEE 86 (11), 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf.
    """

    def __init__(
        self,
        num_classes: int = 10,
        activation: str = "tanh",
        pool: str = "max",
        in_channels: int = 1,
        padding: int = 0,
        third: str = "fc",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS or pool not in POOLS:
            raise ValueError(
                f"LeNet5: activation must be one of {', '.join(ACTIVATIONS)} and pool one of {', '.join(POOLS)}, "
                f"got {activation!r} and {pool!r}"
            )
        if third not in ("fc", "conv"):
            raise ValueError(f"LeNet5: third, the kind of the third stage, must be 'fc' or 'conv', got {third!r}")
        act, down = ACTIVATIONS[activation], POOLS[pool]
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=padding), act(), down(2),
            nn.Conv2d(6, 16, 5), act(), down(2),
        )  # fmt: skip
        if third == "conv":
            self.features.extend([nn.Conv2d(16, 120, 5), act()])
        self.classifier = nn.Sequential(nn.Flatten())
        if third == "fc":
            self.classifier.extend([nn.Linear(400, 120), act()])
        self.classifier.extend([nn.Linear(120, 84), act(), nn.Linear(84, num_classes)])

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, 32, 32) -> (N, num_classes)."""
        logits: Tensor = self.classifier(self.features(input))
        return logits


# Table I of the paper: which of the six maps of S2 each of the sixteen maps of C3 sees.
C3_TABLE = [
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
]  # fmt: skip


class ScaledTanh(nn.Module):
    """f(x) = 1.7159 tanh(2/3 x), so that f(1) = 1, f(-1) = -1, where its slope changes fastest. Shape: any."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each value."""
        y: Tensor = 1.7159 * (input * (2 / 3)).tanh()
        return y


class Subsampling(nn.Module):
    """y = w s + b, where s is the sum of 2 x 2 values; each channel has one w and one b.

    Shape: (N, C, H, W) -> (N, C, H/2, W/2). Parameters: `weight` and `bias`, (C, 1, 1) each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sum = nn.AvgPool2d(2, divisor_override=1)
        self.weight = nn.Parameter(empty(channels, 1, 1))
        self.bias = nn.Parameter(empty(channels, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H/2, W/2)."""
        y: Tensor = self.sum(input) * self.weight + self.bias
        return y


class TableConv2d(nn.Module):
    """A convolution whose outputs see only the input channels that a table gives them.

    Neighbours in the table that see equally many channels are one convolution of groups, on channels that are repeated
    as often as they are seen. So no product with a zero is computed or counted.

    Shape: (N, C, H, W) -> (N, len(table), H - k + 1, W - k + 1).

    Args:
        table: the input channels of each output.
        kernel_size: k.
    """

    def __init__(self, table: Sequence[Sequence[int]], kernel_size: int) -> None:
        super().__init__()
        self.channels: list[list[int]] = []
        self.parts = nn.ModuleList()
        start = 0
        while start < len(table):
            end = start
            while end < len(table) and len(table[end]) == len(table[start]):
                end += 1
            seen = [channel for row in table[start:end] for channel in row]
            self.channels.append(seen)
            self.parts.append(nn.Conv2d(len(seen), end - start, kernel_size, groups=end - start))
            start = end

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, len(table), H - k + 1, W - k + 1)."""
        return cat([part(input[:, seen]) for part, seen in zip(self.parts, self.channels, strict=True)], 1)


class Distances(nn.Module):
    """Minus the squared distance to each code word, -sum_j (x_j - c_ij)^2: the largest is that of the nearest word.

    These are the radial basis functions (RBF) of the paper, with another sign, so that they are scores.

    Shape: (N, D) -> (N, K). Buffer: `codes` (K, D), fixed.
    """

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, input: Tensor) -> Tensor:
        """(N, D) -> (N, K)."""
        y: Tensor = -((input.unsqueeze(1) - self.codes) ** 2).sum(2)  # (N, 1, D) - (K, D) -> (N, K, D) -> (N, K)
        return y


class LeNet5Original(nn.Module):
    """LeNet-5 of 1998, with 60,000 parameters; every layer before the output is followed by 1.7159 tanh(2/3 x).

        C1  conv 5x5         6 x 28 x 28       156 parameters, 117,600 multiply-accumulates
        S2  subsampling      6 x 14 x 14        12             a coefficient and a bias per map, sum of 2 x 2 values
        C3  conv 5x5         16 x 10 x 10    1,516, 150,000    each map sees 3, 4 or 6 maps of S2: 60 of 96 pairs
        S4  subsampling      16 x 5 x 5         32
        C5  conv 5x5         120 x 1 x 1    48,120, 48,000
        F6  linear           84             10,164, 10,080
        output: distances to fixed images of the digits, 7 x 12 pixels of +1 and -1; no parameters

    C3 is sparse so that maps become different, and to compute less. The distances are negative here, so that the
    largest output is the class, and `CrossEntropyLoss` is the loss. The paper's loss, its equation 9, adds a class of
    other images with a fixed distance j: cross entropy of the outputs and a further column of -j.

    The images are drawn for this project; the paper's come from a font of its time. Weights and biases are drawn from
    U(-2.4/n, 2.4/n), where n is the number of inputs of a unit, as in the paper.

    Args:
        num_classes: outputs: the first digits, at most 10.
        in_channels: 1 for grey images.
        padding: of the first convolution: 0 for images of 32 x 32, 2 for those of 28 x 28.

    Shape: (N, in_channels, 32, 32) -> scores (N, num_classes).

    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proceedings
    of the IEEE 86 (11), 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, padding: int = 0) -> None:
        super().__init__()
        if not 1 <= num_classes <= 10:
            raise ValueError(
                f"LeNet5Original: num_classes must be 1 to 10, the outputs are distances to images of the ten digits, "
                f"got {num_classes}; LeNet5 takes any number"
            )
        self.C1 = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.S2 = Subsampling(6)
        self.C3 = TableConv2d(C3_TABLE, 5)
        self.S4 = Subsampling(16)
        self.C5 = nn.Conv2d(16, 120, 5)
        self.F6 = nn.Linear(120, 84)
        self.squash = ScaledTanh()
        self.output = Distances(tensor(digit_codes()[:num_classes]))
        for module in self.modules():
            own = list(module.parameters(recurse=False))
            inputs = 4 if isinstance(module, Subsampling) else own[0][0].numel() if own else 1
            for parameter in own:
                nn.init.uniform_(parameter, -2.4 / inputs, 2.4 / inputs)

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, 32, 32) -> (N, num_classes)."""
        x = self.squash(self.S2(self.squash(self.C1(input))))
        x = self.squash(self.S4(self.squash(self.C3(x))))
        x = self.squash(self.C5(x)).flatten(1)  # (N, 120, 1, 1) -> (N, 120)
        scores: Tensor = self.output(self.squash(self.F6(x)))
        return scores


DIGITS = """
..###..  ...#...  ..###..  ..###..  ....##.  #######  ...###.  #######  ..###..  ..###..
.#####.  ..##...  .#####.  .#####.  ...###.  #######  ..####.  #######  .#####.  .#####.
##...##  .###...  ##...##  ##...##  ...###.  ##.....  .##....  .....##  ##...##  ##...##
##...##  ####...  ##...##  .....##  ..####.  ##.....  ##.....  .....##  ##...##  ##...##
##...##  ..##...  .....##  .....##  ..#.##.  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ..##...  ....###  ..####.  .##.##.  ######.  ######.  ....##.  .#####.  .######
##...##  ..##...  ...###.  ..####.  .##.##.  .######  #######  ...##..  .#####.  ..#####
##...##  ..##...  ..###..  .....##  ##..##.  .....##  ##...##  ...##..  ##...##  .....##
##...##  ..##...  .###...  .....##  #######  .....##  ##...##  ..##...  ##...##  .....##
##...##  ..##...  ###....  ##...##  #######  ##...##  ##...##  ..##...  ##...##  ....##.
.#####.  ######.  #######  .#####.  ....##.  .#####.  .#####.  .##....  .#####.  .####..
..###..  ######.  #######  ..###..  ....##.  ..###..  ..###..  .##....  ..###..  .###...
"""


def digit_codes() -> list[list[float]]:
    """The images of the digits as rows of 84 values: +1 for ink and -1 for paper."""
    lines = [line.split() for line in DIGITS.split("\n") if line]
    return [[1.0 if pixel == "#" else -1.0 for line in lines for pixel in line[digit]] for digit in range(10)]


@with_weights
def lenet5(**kwargs: Any) -> LeNet5:
    """LeNet-5 of the courses: 61,706 parameters.

    >>> net = minicnn.models.lenet5()
    >>> net(minicnn.zeros(8, 1, 32, 32)).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 61706)
    >>> minicnn.models.lenet5(padding=2)(minicnn.zeros(8, 1, 28, 28)).shape  # images of MNIST
    minicnn.Size([8, 10])
    """
    return LeNet5(**kwargs)


@with_weights
def lenet5_1998(**kwargs: Any) -> LeNet5Original:
    """LeNet-5 of the paper, with a sparse third layer and distances as output: 60,000 parameters.

    >>> net = minicnn.models.lenet5_1998()
    >>> net(minicnn.zeros(8, 1, 32, 32)).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 60000)
    """
    return LeNet5Original(**kwargs)
