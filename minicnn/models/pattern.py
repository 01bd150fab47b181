"""Convolutional nets from one line of text, and the line of a net.

    conv_net       text to net: "[(CONV-RELU)*2-POOL]*3-(FC-RELU)*1-SOFTMAX"
    pattern_of     net to text

`pattern_grammar.py` reads the text, `pattern_search.py` draws texts at random.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minicnn_kernels.geometry import ShapeError, listed, pair, shown, whole

from .. import nn
from ..autograd.modes import no_grad
from ..device import Device
from ..nn.module import check_module
from ..ops.tensor.creation import zeros
from .alexnet import local_response_norm
from .pattern_grammar import Layer, Parser, PatternError, expand, letters

__all__ = ["PatternError", "conv_net", "pattern_of"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "RELU": nn.ReLU, "TANH": nn.Tanh, "SIGMOID": nn.Sigmoid, "LEAKYRELU": nn.LeakyReLU, "ELU": nn.ELU,
    "GELU": nn.GELU, "SILU": nn.SiLU,
}  # fmt: skip
POOLS: dict[str, Callable[..., nn.Module]] = {"MAXPOOL": nn.MaxPool2d, "AVGPOOL": nn.AvgPool2d}
PLAIN: dict[str, Callable[[], nn.Module]] = {
    **ACTIVATIONS, "LRN": local_response_norm, "GAP": lambda: nn.AdaptiveAvgPool2d(1), "FLATTEN": nn.Flatten,
}  # fmt: skip
WIDEST = 512
HIDDEN = 128

Maker = Callable[[], nn.Module]


def conv_net(
    text: str,
    input_size: Sequence[int],
    num_classes: int = 10,
    *,
    width: int = 32,
    hidden: int = HIDDEN,
    pooling: str = "max",
    optional: bool = True,
    **counts: int,
) -> nn.Sequential:
    """Build a net from one line of text: `conv_net("[(CONV-RELU)*2-POOL]*3-(FC-RELU)*1-SOFTMAX", (3, 32, 32))`.

    The text is the typical layout of the course CS231n, [(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K-SOFTMAX. It can be given as
    it stands there, with values for the letters: `conv_net(text, (3, 32, 32), N=2, M=3, K=1)`.

        CONV        convolution 3x3, padded to keep the size at stride 1. CONV5x5-64s2p0: kernel 5x5, 64 channels,
                    stride 2, padding 0; d is dilation and g groups. Without a width: as many channels as the
                    convolution before, and twice as many after each halving of the image, up to 512
        POOL        max pooling 2x2; POOL3s2p1: windows of 3x3, stride 2, padding 1. The stride is 2 if it is not given
        MAXPOOL     the same, whatever `pooling` is; AVGPOOL: average pooling
        GAP         the average of each channel (global average pooling), flattened
        FC          linear layer, after flattening if needed; FC-256: 256 outputs. Without a width: `hidden` outputs, or
                    num_classes at the end of the text or right before SOFTMAX
        SOFTMAX     the softmax classifier: a linear layer with num_classes outputs, or nothing after an FC or GAP that
                    gives them. The softmax itself is part of the loss, `CrossEntropyLoss`
        BN, LRN     batch norm; local response normalisation
        DROPOUT     of probability 0.5; DROPOUT0.2
        RELU, TANH, SIGMOID, LEAKYRELU, ELU, GELU, SILU: activations.    FLATTEN, INPUT: as they say

    "CLASSES" is num_classes as a width. Case and spaces do not matter. The layers are named conv1, relu1, ..., fc1,
    scores.

    Args:
        text: the net.
        input_size: (C, H, W) of an image, or (features,).
        num_classes: outputs.
        width: channels of the first convolution, if the text does not say.
        hidden: outputs of an FC, if the text does not say.
        pooling: what POOL is: "max", "avg", or "conv": a convolution with the stride of the pooling, and ReLU, as in
            all-convolutional nets; its kernel is 3x3 if the text gives none.
        optional: whether parts marked with "?" are there.
        counts: the values of letters.

    Returns:
        A `Sequential` of the layers: input (N, *input_size), result (N, num_classes) if the text ends so.

    Raises:
        PatternError: the text is no net, or a layer does not fit the shape before it; the message points at the place.

    A. Karpathy, CS231n, "Convolutional neural networks", https://cs231n.github.io/convolutional-networks/.
    J. T. Springenberg et al., "Striving for simplicity: the all convolutional net", 2014,
    https://arxiv.org/abs/1412.6806.

    >>> minicnn.models.conv_net("CONV5x5-6p0-TANH-POOL-FC-TANH-SOFTMAX", (1, 32, 32), hidden=84)
    Sequential(
      (conv1): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
      (tanh1): Tanh()
      (pool1): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
      (flatten1): Flatten(start_dim=1, end_dim=-1)
      (fc1): Linear(in_features=1176, out_features=84, bias=True)
      (tanh2): Tanh()
      (scores): Linear(in_features=84, out_features=10, bias=True)
    )
    """
    if pooling not in ("max", "avg", "conv"):
        raise ValueError(f"conv_net: pooling must be 'max', 'avg' or 'conv', got {pooling!r}")
    size = image_size("conv_net", input_size)
    parser = Parser(text)
    nodes = parser.parse()
    values = {name.upper(): value for name, value in counts.items()}
    for name, value in values.items():
        if name not in letters(nodes):
            known = ", ".join(sorted(letters(nodes))) or "none"
            raise TypeError(f"conv_net: there is no argument or letter {name} in {parser.text!r}; its letters: {known}")
        if type(value) is not int or value < 0:
            raise ValueError(f"conv_net: {name} is how often a part is repeated, 0 or more, got {value!r}")
    layers = expand(parser.text, nodes, values, optional)
    builder = Builder(parser.text, size, num_classes, width, hidden, pooling)
    for i, layer in enumerate(layers):
        builder.add(layer, layers[i - 1] if i else None, layers[i + 1] if i + 1 < len(layers) else None)
    return nn.Sequential(OrderedDict((name, make()) for name, make in builder.made.items()))


def image_size(op: str, input_size: Any) -> tuple[int, ...]:
    """The size of one input, (C, H, W) or (features,).

    Raises:
        ValueError: it is none.
    """
    given = listed(input_size)
    try:
        size = tuple([whole(n, op, "a side", 1) for n in given]) if isinstance(given, (tuple, list)) else ()
    except ShapeError:
        size = ()
    if len(size) not in (1, 3):
        raise ValueError(
            f"{op}: input_size must be (C, H, W) or (features,), of whole numbers from 1, got {shown(input_size)}"
        )
    return size


class Builder:
    """Makes the layers one by one, and follows the shape of one image through them on the meta device."""

    def __init__(self, text: str, shape: tuple[int, ...], classes: int, width: int, hidden: int, pooling: str) -> None:
        self.text, self.shape, self.classes = text, shape, classes
        self.width, self.hidden, self.pooling = width, hidden, pooling  # width: of the next convolution
        self.made: OrderedDict[str, Maker] = OrderedDict()
        self.kinds: Counter[str] = Counter()

    def add(self, layer: Layer, before: Layer | None, after: Layer | None) -> None:
        """Make the layers of one word."""
        name = layer.name
        if name == "POOL":
            name = {"max": "MAXPOOL", "avg": "AVGPOOL", "conv": "STRIDED"}[self.pooling]
        if name in ("CONV", "STRIDED", "MAXPOOL", "AVGPOOL", "GAP", "LRN") and len(self.shape) != 3:
            raise self.error(layer, f"{layer.source} needs images, but here are {self.shape[0]} values per image")
        if name == "INPUT":
            if before is not None:
                raise self.error(layer, "INPUT must be the first word")
        elif name == "CONV":
            self.convolution(layer, self.size(layer, self.width), layer.kernel or (3, 3), layer.options.get("s", 1))
        elif name == "STRIDED":
            self.convolution(layer, self.shape[0], layer.kernel or (3, 3), layer.options.get("s", 2))
            self.put(layer, "relu", nn.ReLU)
        elif name in POOLS:
            options = layer.options
            pool, (height, width), stride = POOLS[name], layer.kernel or (2, 2), options.get("s", 2)
            window = height if height == width else (height, width)
            self.put(layer, "pool", lambda: pool(window, stride, options.get("p", 0)))
            if stride > 1 and self.kinds["conv"]:
                self.width = min(self.width * 2, max(WIDEST, self.width))
        elif name == "GAP":
            self.put(layer, "gap", lambda: nn.AdaptiveAvgPool2d(1))
            self.flatten(layer)
        elif name in ("FC", "SOFTMAX"):
            self.linear(layer, before, after)
        elif name == "FLATTEN":
            self.flatten(layer)
        else:
            self.put(layer, name.lower(), self.shapeless(layer))

    def convolution(self, layer: Layer, width: int, kernel: tuple[int, int], stride: int) -> None:
        """A convolution; the next one has as many channels, or twice as many if this one halves the image."""
        options, inputs = layer.options, self.shape[0]
        dilation = options.get("d", 1)
        padding = (options["p"], options["p"]) if "p" in options else _kept(kernel, dilation)
        self.put(
            layer, "conv", lambda: nn.Conv2d(inputs, width, kernel, stride, padding, dilation, options.get("g", 1))
        )
        self.width = min(width * 2, max(WIDEST, width)) if stride > 1 else width

    def linear(self, layer: Layer, before: Layer | None, after: Layer | None) -> None:
        """A linear layer, or the classifier."""
        last = layer.name == "SOFTMAX"
        if last and after is not None:
            raise self.error(layer, f"SOFTMAX must be the last word, but {after.source} follows")
        if last and before is not None and before.name in ("FC", "GAP") and self.shape == (self.classes,):
            return
        ends = after is None or after.name == "SOFTMAX"
        outputs = self.classes if last else self.size(layer, self.classes if ends else self.hidden)
        if len(self.shape) > 1:
            self.flatten(layer)
        inputs = self.shape[0]
        self.put(layer, "scores" if last else "fc", lambda: nn.Linear(inputs, outputs))

    def flatten(self, layer: Layer) -> None:
        """(C, H, W) -> (C*H*W,)."""
        self.put(layer, "flatten", nn.Flatten)

    def shapeless(self, layer: Layer) -> Maker:
        """The layers that keep the shape."""
        channels, images = self.shape[0], len(self.shape) == 3
        if layer.name == "BN":
            return lambda: nn.BatchNorm2d(channels) if images else nn.BatchNorm1d(channels)
        if layer.name == "DROPOUT":
            return lambda: nn.Dropout(layer.share or 0.0)
        return local_response_norm if layer.name == "LRN" else ACTIVATIONS[layer.name]

    def size(self, layer: Layer, default: int) -> int:
        """The width that the text gives, or the default."""
        return self.classes if layer.width == "CLASSES" else default if layer.width is None else int(layer.width)

    def put(self, layer: Layer, kind: str, make: Maker) -> None:
        """Name a layer, and follow the shape through it."""
        try:
            with Device("meta"), no_grad():
                self.shape = tuple(make().eval()(zeros(1, *self.shape)).shape[1:])
        except (ValueError, RuntimeError) as error:
            raise self.error(layer, f"{layer.source} does not fit the shape here, {self.shape}: {error}") from None
        self.kinds[kind] += 1
        self.made[kind if kind == "scores" else f"{kind}{self.kinds[kind]}"] = make

    def error(self, layer: Layer, problem: str) -> PatternError:
        """An error at a layer."""
        return PatternError(self.text, layer.position, f"conv_net: {problem}")


def pattern_of(net: nn.Sequential) -> str:
    """The line of text of a net, with all sizes: that of `vgg16().features` starts with "CONV3-64-RELU-CONV3-64".

    `conv_net(pattern_of(net), input_size, num_classes)` makes the same layers again.

    Args:
        net: layers that `conv_net` makes, in a `Sequential`, which may have others inside.

    Raises:
        ValueError: there is no word for a layer.
        TypeError: the net is no `Sequential`.

    >>> with minicnn.device("meta"):
    ...     net = minicnn.models.vgg16().features
    >>> minicnn.models.pattern_of(net[:5])
    'CONV3-64-RELU-CONV3-64-RELU-MAXPOOL'
    """
    check_module("pattern_of", net)
    if not isinstance(net, nn.Sequential):
        parts = [f"net.{name}" for name, part in net.named_children() if isinstance(part, nn.Sequential)]
        remedy = f"give a part that is one: {' or '.join(parts)}" if parts else "give its layers in one"
        raise TypeError(f"pattern_of: the net must be an nn.Sequential, got a {type(net).__name__}; {remedy}")
    words: list[str] = []
    layers = list(_flat(net))
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        word = _word(layer)
        if word == "GAP" and not isinstance(following, nn.Flatten):
            raise ValueError(f"pattern_of: GAP flattens, but after {layer} comes {following}")
        if word != "FLATTEN" or not (isinstance(following, nn.Linear) or words[-1:] == ["GAP"]):  # these flatten
            words.append(word)
    return "-".join(words)


def _flat(net: nn.Sequential) -> Iterator[nn.Module]:
    for layer in net:
        if isinstance(layer, nn.Sequential):
            yield from _flat(layer)
        else:
            yield layer


def _word(layer: Any) -> str:
    """The word of one layer: the one whose layer has the same settings, if there is one."""
    with Device("meta"):
        if isinstance(layer, nn.Conv2d) and not isinstance(layer.padding, str):
            words = [_convolution_word(layer)]
        elif type(layer) in POOLS.values():
            words = [_pool_word(layer)]
        elif isinstance(layer, nn.Linear):
            words = [(f"FC-{layer.out_features}", nn.Linear(layer.in_features, layer.out_features))]
        elif isinstance(layer, nn.Dropout):
            words = [(f"DROPOUT{layer.p}", nn.Dropout(layer.p))]
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            words = [("BN", type(layer)(layer.num_features))]
        else:
            words = [(name, make()) for name, make in PLAIN.items()]
    for word, same in words:
        if _settings(same) == _settings(layer):
            return word
    raise ValueError(f"pattern_of: the texts of conv_net have no word for {layer}")


def _convolution_word(layer: Any) -> tuple[str, nn.Module]:
    """The word with the first of the layer's strides, paddings and dilations, and the convolution that it makes."""
    kernel, stride, dilation, groups = layer.kernel_size, layer.stride[0], layer.dilation[0], layer.groups
    kept = _kept(kernel, dilation)
    padding = kept if layer.padding == kept else (layer.padding[0],) * 2
    word = f"CONV{_by(kernel)}-{layer.out_channels}"
    word += f"s{stride}" * (stride != 1) + f"p{padding[0]}" * (padding != kept)
    word += f"d{dilation}" * (dilation != 1) + f"g{groups}" * (groups != 1)
    return word, nn.Conv2d(layer.in_channels, layer.out_channels, kernel, stride, padding, dilation, groups)


def _pool_word(layer: Any) -> tuple[str, nn.Module]:
    """The word with the first of the layer's strides and paddings, and the pooling that it makes."""
    kernel, (stride, _), (padding, _) = (
        pair(value, "pattern_of", "window", 0) for value in (layer.kernel_size, layer.stride, layer.padding)
    )
    name = {pool: name for name, pool in POOLS.items()}[type(layer)]
    word = name + _by(kernel) * (kernel != (2, 2)) + f"s{stride}" * (stride != 2) + f"p{padding}" * (padding != 0)
    if word != name and kernel == (2, 2):
        word = name + "2" + word.removeprefix(name)  # options need a size before them
    return word, type(layer)(kernel, stride, padding)


def _settings(layer: nn.Module) -> Any:
    """What tells layers of a kind apart: the attributes, with windows as pairs, and which parameters there are."""
    kept = {name: value for name, value in vars(layer).items() if not name.startswith("_")}
    for name in ("training", "inplace"):
        kept.pop(name, None)
    for name in ("kernel_size", "stride", "padding", "output_size"):
        if isinstance(kept.get(name), int):
            kept[name] = (kept[name],) * 2
    return type(layer), kept, [name for name, _ in layer.named_parameters()]


def _kept(kernel: tuple[int, int], dilation: int) -> tuple[int, int]:
    """The padding that keeps the size of an image at stride 1, for odd kernels."""
    height, width = kernel
    return (height - 1) * dilation // 2, (width - 1) * dilation // 2


def _by(kernel: tuple[int, int]) -> str:
    """3 for 3x3, else 3x5."""
    return f"{kernel[0]}" if kernel[0] == kernel[1] else f"{kernel[0]}x{kernel[1]}"
