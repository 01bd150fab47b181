"""Draw the pictures of architectures.md from the nets themselves, and write its table.

python docs/draw_architectures.py            all pictures, and the table
python docs/draw_architectures.py resnet     the pictures whose names begin so
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import minicnn
from minicnn import models, visualize
from minicnn.analysis.receptive_field import receptive_field
from minicnn.models.registry import MODELS

PAGE = Path(__file__).parent / "architectures.md"
PICTURES = Path(__file__).parent / "images" / "architectures"
BEGIN, END = "<!-- table: python docs/draw_architectures.py -->", "<!-- end of the table -->"
ARXIV = "https://arxiv.org/abs/"


class Family(NamedTuple):
    """A row of the table, and a section of the page.

    Attributes:
        title: of the section.
        model: the net of the row.
        paper: authors, year.
        url: of the paper.
        new: what the paper introduced.
        files: the modules of `minicnn.models` that the section is about.
    """

    title: str
    model: str
    paper: str
    url: str
    new: str
    files: tuple[str, ...]


FAMILIES = [
    Family("Multilayer perceptron", "mlp", "LeCun et al. 1998", "https://doi.org/10.1109/5.726791",
           "hidden layers, fully connected", ("mlp",)),
    Family("LeNet-5", "lenet5", "LeCun et al. 1998", "https://doi.org/10.1109/5.726791",
           "convolution and pooling in turn, shared weights", ("lenet",)),
    Family("AlexNet", "alexnet_two_towers", "Krizhevsky, Sutskever, Hinton 2012",
           "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
           "ReLU, dropout, training on GPUs; won ImageNet", ("alexnet",)),
    Family("ZFNet", "zfnet", "Zeiler, Fergus 2013", f"{ARXIV}1311.2901",
           "a finer first layer, found by looking at features", ("zfnet",)),
    Family("Network in Network", "nin_cifar", "Lin, Chen, Yan 2013", f"{ARXIV}1312.4400",
           "1x1 convolutions; global average pooling", ("nin",)),
    Family("ConvNetJS", "convnetjs", "Karpathy 2014", "https://cs.stanford.edu/people/karpathy/convnetjs",
           "small enough to be trained in a browser", ("convnetjs",)),
    Family("VGG", "vgg16", "Simonyan, Zisserman 2014", f"{ARXIV}1409.1556",
           "depth from 3x3 convolutions alone", ("vgg",)),
    Family("All-convolutional net", "all_cnn_c", "Springenberg et al. 2014", f"{ARXIV}1412.6806",
           "strides instead of pooling", ("all_cnn",)),
    Family("GoogLeNet", "googlenet_2014", "Szegedy et al. 2014", f"{ARXIV}1409.4842",
           "Inception module: several kernels side by side, 1x1 reductions; auxiliary heads", ("googlenet",)),
    Family("BN-Inception", "bn_inception", "Ioffe, Szegedy 2015", f"{ARXIV}1502.03167",
           "batch normalisation", ("bn_inception",)),
    Family("Inception-v3", "inception_v3", "Szegedy et al. 2015", f"{ARXIV}1512.00567",
           "factorised kernels: 1x7 and 7x1; label smoothing", ("inception", "inception_parts")),
    Family("Highway network", "highway10", "Srivastava, Greff, Schmidhuber 2015", f"{ARXIV}1505.00387",
           "gates that pass the input on", ("highway",)),
    Family("ResNet", "resnet50", "He et al. 2015", f"{ARXIV}1512.03385",
           "residual blocks: identity shortcuts; 152 layers", ("resnet",)),
    Family("ResNet for CIFAR-10", "resnet110", "He et al. 2015", f"{ARXIV}1512.03385",
           "the same at 32x32, against plain nets; up to 1202 layers", ("resnet_cifar",)),
    Family("Pre-activation ResNet", "preact_resnet164", "He et al. 2016", f"{ARXIV}1603.05027",
           "norm and ReLU before the convolution: a clear path", ("resnet_preact",)),
    Family("Wide ResNet", "wrn_28_10", "Zagoruyko, Komodakis 2016", f"{ARXIV}1605.07146",
           "fewer, wider blocks", ("resnet_wide",)),
    Family("ResNeXt", "resnext50_32x4d", "Xie et al. 2016", f"{ARXIV}1611.05431",
           "cardinality: 32 groups in the bottleneck", ("resnet",)),
    Family("Inception-v4", "inception_v4", "Szegedy et al. 2016", f"{ARXIV}1602.07261",
           "a regular Inception with a branched stem", ("inception_v4",)),
    Family("SqueezeNet", "squeezenet1_0", "Iandola et al. 2016", f"{ARXIV}1602.07360",
           "Fire module: AlexNet's accuracy with 1/50 of the parameters", ("squeezenet",)),
    Family("DenseNet", "densenet121", "Huang et al. 2016", f"{ARXIV}1608.06993",
           "every layer sees all earlier ones, by concatenation", ("densenet", "densenet_cifar")),
    Family("Xception", "xception", "Chollet 2016", f"{ARXIV}1610.02357",
           "separable convolutions alone, with shortcuts", ("xception",)),
    Family("AlphaGo's policy network", "alphago", "Silver et al. 2016", "https://doi.org/10.1038/nature16961",
           "a convolutional net that proposes moves", ("alphago",)),
    Family("SENet", "se_resnet50", "Hu et al. 2017", f"{ARXIV}1709.01507",
           "squeeze and excitation: channels weighted by the whole image", ("senet",)),
    Family("MobileNet", "mobilenet_v1", "Howard et al. 2017", f"{ARXIV}1704.04861",
           "separable convolutions for phones; a width multiplier", ("mobilenetv1",)),
    Family("ShuffleNet", "shufflenet_v1_g3", "Zhang et al. 2017", f"{ARXIV}1707.01083",
           "grouped 1x1 convolutions and a channel shuffle", ("shufflenetv1",)),
    Family("NASNet-A", "nasnet_mobile", "Zoph et al. 2017", f"{ARXIV}1707.07012",
           "cells found by a search", ("nasnet",)),
    Family("MobileNet v2", "mobilenet_v2", "Sandler et al. 2018", f"{ARXIV}1801.04381",
           "inverted residuals with linear bottlenecks", ("mobilenetv2",)),
    Family("ShuffleNet v2", "shufflenet_v2_x1_0", "Ma et al. 2018", f"{ARXIV}1807.11164",
           "a channel split; designed by measured time", ("shufflenetv2",)),
    Family("MNASNet", "mnasnet1_0", "Tan et al. 2018", f"{ARXIV}1807.11626",
           "a search that measures the time on a phone", ("mnasnet",)),
    Family("MobileNet v3", "mobilenet_v3_large", "Howard et al. 2019", f"{ARXIV}1905.02244",
           "a search, hard swish, squeeze and excitation", ("mobilenetv3",)),
    Family("EfficientNet", "efficientnet_b0", "Tan, Le 2019", f"{ARXIV}1905.11946",
           "depth, width and resolution scaled together", ("efficientnet",)),
    Family("EfficientNetV2", "efficientnet_v2_s", "Tan, Le 2021", f"{ARXIV}2104.00298",
           "fused blocks where images are large; a search that measures training time", ("efficientnet",)),
    Family("Airbench", "airbench94", "Jordan 2024", f"{ARXIV}2404.00498",
           "a first layer that is computed; filters that start as copies: ten epochs are enough", ("airbench",)),
    Family("A net from a line of text", "", "", "", "", ("pattern", "pattern_grammar", "pattern_search")),
]  # fmt: skip


def block(model: str, **options: Any) -> Callable[[], Any]:
    """A function that draws a net, or a part of one."""
    return lambda: visualize.diagram(model, **options)


DRAWINGS: dict[str, Callable[[], Any]] = {
    "mlp": block("mlp"),
    "lenet5": block("lenet5"),
    "lenet5_1998": block("lenet5_1998"),
    "alexnet": block("alexnet_two_towers"),
    "zfnet": block("zfnet"),
    "nin": block("nin_cifar"),
    "convnetjs": block("convnetjs"),
    "vgg16": block("vgg16"),
    "vgg16_costs": lambda: visualize.costs("vgg16"),
    "all_cnn": block("all_cnn_c"),
    "googlenet": block("googlenet_2014", depth=1),
    "googlenet_module": block("googlenet_2014", part="inception3a"),
    "bn_inception_module": block("bn_inception", part="inception.3a"),
    "inception_v3_module": block("inception_v3", part="Mixed_6b"),
    "highway_block": block("highway10", part="highway.0"),
    "resnet50": block("resnet50", depth=1, names=True),
    "resnet18_block": block("resnet18", part="layer1.0", names=True),
    "resnet50_block": block("resnet50", part="layer2.0", names=True),
    "resnet18_field": lambda: _seeded(visualize.field, "resnet18", layer="layer3", empirical=True),
    "resnet_cifar_block": block("resnet20", part="layer2.0"),
    "resnet_preact_block": block("preact_resnet164", part="layers.1.1"),
    "resnet_wide_block": block("wrn_28_10", part="layers.1.1"),
    "resnext_block": block("resnext50_32x4d", part="layer1.1"),
    "inception_v4_module": block("inception_v4", part="inception_c.0"),
    "squeezenet_fire": block("squeezenet1_0", part="features.3"),
    "densenet_block": block("densenet121", part="features.denseblock1", whole=["_DenseLayer"]),
    "densenet_layer": block("densenet121", part="features.denseblock1.denselayer2"),
    "xception_block": block("xception", part="middle_flow.0"),
    "alphago": block("alphago"),
    "senet_block": block("se_resnet50", part="layer1.1"),
    "mobilenet_block": block("mobilenet_v1", part="features.1"),
    "shufflenet_block": block("shufflenet_v1_g3", part="stage3.1"),
    "nasnet_cell": block("nasnet_mobile", part="cells.3", whole=["SeparableConv2d"]),
    "mobilenet_v2_block": block("mobilenet_v2", part="features.3"),
    "shufflenet_v2_block": block("shufflenet_v2_x1_0", part="stage2.1"),
    "mnasnet_block": block("mnasnet1_0", part="layers.8.1"),
    "mobilenet_v3_block": block("mobilenet_v3_large", part="features.5"),
    "efficientnet_block": block("efficientnet_b0", part="features.2.1"),
    "efficientnet_v2_block": block("efficientnet_v2_s", part="features.2.1"),
    "airbench": block("airbench94"),
    "accuracy_macs": lambda: visualize.accuracy("macs"),
    "accuracy_params": lambda: visualize.accuracy("params"),
    "ilsvrc": visualize.ilsvrc,
}


def _seeded(draw: Callable[..., Any], *args: Any, **options: Any) -> Any:
    minicnn.manual_seed(0)
    return draw(*args, **options)


def draw(name: str, folder: Path = PICTURES) -> Path:
    """Draw one picture, with 64 colours, in the size in which a page shows it."""
    from io import BytesIO

    from PIL import Image

    figure = DRAWINGS[name]()
    wide = float(figure.get_size_inches()[0])
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110 if wide < 8 else 90)
    folder.mkdir(parents=True, exist_ok=True)
    colours = 256 if name.endswith("field") else 64
    Image.open(content).convert("RGB").quantize(colours).save(folder / f"{name}.png", optimize=True)
    return folder / f"{name}.png"


def field_of(name: str) -> str:
    """The receptive field of the last map with more than one cell: its size and stride in pixels."""
    with minicnn.device("meta"):
        net = models.get_model(name)
    layers = receptive_field(net, MODELS[name].input_size).layers
    maps = [one.field for one in layers if min(one.field.cells) > 1]
    if not maps:
        return "the whole image"
    return f"{maps[-1].size[0]:.0f}" + (", and a summary of all" if maps[-1].context else "")


def table() -> str:
    """The table of the page, in Markdown."""
    lines = [
        "| | paper | model | input | parameters | MACs | sees (pixels) | new |",
        "|---|---|---|---|---:|---:|---:|---|",
    ]
    for one in sorted((f for f in FAMILIES if f.model), key=lambda f: (MODELS[f.model].year, FAMILIES.index(f))):
        entry = MODELS[one.model]
        size = "x".join(map(str, entry.input_size))
        anchor = "".join(c for c in one.title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
        lines.append(
            f"| [{one.title}](#{anchor}) | [{one.paper}]({one.url}) | `{one.model}` | {size} | {entry.params:,} "
            f"| {entry.macs:,} | {field_of(one.model)} | {one.new} |"
        )
    return "\n".join(lines)


def write_table() -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for picture in DRAWINGS:
        if not wanted or any(picture.startswith(word) for word in wanted):
            print(draw(picture))
    if not wanted or "table" in wanted:
        write_table()
