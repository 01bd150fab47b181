# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 08 Counting everything
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/08_counting_everything.ipynb)
#
# **After this notebook you can**
#
# - count parameters, multiplications and memory of any net, and say where in the net they are,
# - tell MACs from FLOPs, and check a number that you read somewhere,
# - say what small kernels, 1x1 convolutions and separable convolutions save,
# - say how much of the image a unit sees, and how much of that really counts.
#
# **It builds on** notebooks 06 and 07: what a layer costs, and LeNet-5. It takes about half a minute of computing, and an hour of thinking.

# %%
# On Colab, this installs minicnn, with the NumPy that is there. Elsewhere it does nothing.
import importlib.util

if importlib.util.find_spec("minicnn") is None:
    import subprocess
    import sys

    import numpy

    source = "minicnn @ git+https://github.com/minicnn/minicnn"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source, f"numpy=={numpy.__version__}"], check=True)

# %%
import minicnn
from minicnn import nn, visualize
from minicnn.analysis import comparisons, empirical_receptive_field, receptive_field
from minicnn.exercises import check, lesson
from minicnn.models import LeNet5, get_model
from minicnn.models.registry import MODELS

# %% [markdown]
# ## 1. Counting without computing
#
# On the device `meta` a tensor has a shape and no memory. So any net can be built and run there: every layer works out the shape of its output, and nothing else.
#
# Three things are counted for one image: **parameters**, which are stored and learned; **MACs** (a multiplication and an addition), which take time; and **values**, the outputs of layers, which need memory.
#
# **Predict.** LeNet-5 of 1998, AlexNet of 2012, VGG-16 and GoogLeNet of 2014, ResNet-50 of 2015, MobileNet of 2017. Which has most parameters? Which has most MACs? Do both grow from year to year?


# %%
def count(name, **options):
    """The costs of a net for one image of its usual size."""
    with minicnn.device("meta"):
        net = get_model(name, **options)
    return minicnn.summary(net, MODELS[name].input_size, verbose=0)


found = {name: count(name) for name in ("lenet5", "alexnet_two_towers", "vgg16", "resnet50_v1", "mobilenet_v1")}
found["googlenet_2014"] = count("googlenet_2014", aux_logits=False)  # without the heads that help in training
print(f"{'net':20}{'year':>5}{'parameters':>13}{'MACs':>16}{'MACs per parameter':>20}")
for name, one in sorted(found.items(), key=lambda pair: MODELS[pair[0]].year):
    ratio = one.total_macs / one.total_params
    print(f"{name:20}{MODELS[name].year:5}{one.total_params:13,}{one.total_macs:16,}{ratio:20.0f}")

# %% [markdown]
# Neither grows from year to year. VGG-16 has the most of both. After it, nets became smaller and better. The last column says how often a weight is used: a linear layer uses each weight once, a convolution at each place.
#
# ## 2. Parameters that slides print
#
# **Predict.** Which of these numbers are right? AlexNet has 60 million parameters. AlexNet has more than 62 million. GoogLeNet has 5 million, 12 times fewer than AlexNet and 27 times fewer than VGG-16.


# %%
def parameters(name, **options):
    """The number of parameters of a net."""
    with minicnn.device("meta"):
        return sum(p.numel() for p in get_model(name, **options).parameters())


alexnet, googlenet = parameters("alexnet_two_towers"), parameters("googlenet_2014", aux_logits=False)
lesson.compare(
    ("LeNet-5", 61_706, parameters("lenet5")),
    ("LeNet-5, another slide", 59_706, parameters("lenet5"), "it forgets the 6 input maps of the second convolution"),
    ("AlexNet: more than 62 million", True, parameters("alexnet_lrn") > 62_000_000),
    ("AlexNet", "60 M", alexnet, "60.97 million of the net in two towers, cut, not rounded"),
    ("AlexNet with batch norm, ten classes", 58_325_066, parameters("alexnet_bn", num_classes=10)),
    ("ZFNet, the wide one: more than 107 million", True, parameters("zfnet_wide") > 107_000_000),
    ("GoogLeNet", "5 M", googlenet, "without the auxiliary heads it has 7 million"),
    ("AlexNet / GoogLeNet", 12, round(alexnet / googlenet, 1), "it follows from the wrong 5 million"),
    ("AlexNet / GoogLeNet, another slide", 25, round(alexnet / googlenet, 1), "no count gives this"),
    ("VGG-16 / GoogLeNet", 27, round(parameters("vgg16") / googlenet, 1), "it follows from the wrong 5 million"),
    ("AlexNet / SqueezeNet", 50, round(alexnet / parameters("squeezenet1_0"), 1), "rounded up"),
    ("SENet", "146 M", parameters("senet154"), "taken from a paper; the net that was published has 115 million"),
)

# %% [markdown]
# Two towers or one: AlexNet ran on two GPUs, and three of its convolutions saw only the channels of their own GPU. Such a convolution has 2 groups, and half of the weights. So the net has 61 million parameters in two towers, and 62.4 in one.
#
# The family of VGG. **Predict.** From 11 to 19 layers: how much do the parameters grow?

# %%
vgg = {"A": "vgg11", "A-LRN": "vgg11_lrn", "B": "vgg13", "C": "vgg16_c", "D": "vgg16", "E": "vgg19"}
printed = {"A": "133 M", "A-LRN": "133 M", "B": "133 M", "C": "134 M", "D": "138 M", "E": "144 M"}
convolutions = sum(layer.kind == "Conv2d" for layer in count("vgg11").layers)
lesson.compare(
    *((f"VGG {letter}", printed[letter], parameters(name)) for letter, name in vgg.items()),
    (
        "convolutions of VGG A, in a slide's table",
        5,
        convolutions,
        "cells were lost: 11 layers are 8 and 3 linear ones",
    ),
)

# %% [markdown]
# ## 3. MACs are not FLOPs
#
# A FLOP is one operation with floating point. A MAC is two of them. So a neuron with $n$ inputs and a bias has $n$ MACs, and $2n + 1$ FLOPs. But many papers, and the slides that copy their tables, write "FLOPs" over a column of MACs.
#
# **Predict.** A slide gives VGG-16 15.3 billion FLOPs, and ResNet-50 3.8 billion. What are these numbers, and what would the FLOPs be?

# %%
(_, *resnet), (_, *vgg16) = comparisons.nets("resnet50_v1", "vgg16").rows  # parameters, ..., MACs of convolutions
lesson.compare(
    ("VGG-16, MACs of the convolutions", "15.3 G", vgg16[3]),
    ("VGG-16, all MACs", "15.47 G", found["vgg16"].total_macs),
    ("VGG-16, called FLOPs", "15.3 G", found["vgg16"].total_flops, "they are MACs"),
    ("ResNet-50, called FLOPs", "3.8 G", found["resnet50_v1"].total_flops, "they are MACs: 3.86 billion, cut"),
    ("millions of parameters: ResNet-50", "25 M", resnet[0], "cut, not rounded"),
    ("VGG-16", "138 M", vgg16[0]),
)

# %% [markdown]
# The row "FLOPs" of the table of all ResNets, in billions. Two of these nets have their shortcuts with zeros in place of 1x1 convolutions, and those from 50 layers on have the stride in the first 1x1 convolution, as in the paper; many libraries place it otherwise, and then the numbers are larger.

# %%
table = {
    "resnet18_a": "1.8 G",
    "resnet34_a": "3.6 G",
    "resnet50_v1": "3.8 G",
    "resnet101_v1": "7.6 G",
    "resnet152_v1": "11.3 G",
}
macs = {name: (found[name] if name in found else count(name)).total_macs for name in table}
why = {"resnet50_v1": ["3.86 was cut to 3.8; the others are rounded"]}
lesson.compare(*((name, table[name], macs[name], *why.get(name, [])) for name in table))

# %% [markdown]
# ## 4. Memory early, parameters late
#
# A forward pass of a training keeps the outputs of the layers for the way back. **Predict.** Where in VGG-16 are most of these values: in the first layers or in the last? Where are most parameters? Where is most of the computing?

# %%
visualize.costs("vgg16")

# %%
memory = comparisons.memory("vgg16")
values = {row[0].split(" ")[0]: row[2] for row in memory.rows}  # layer -> values of its output
weights = {row[0].split(" ")[0]: row[3] for row in memory.rows}
total = values["total"]
early = sum(values[f"features.{i}"] for i in (0, 2, 5, 7)) / total  # the first four convolutions
late = sum(value for name, value in weights.items() if name.startswith("classifier")) / weights["total"]
lesson.compare(
    ("most memory is in the early convolutions", True, early > 0.5),
    ("most parameters are in the linear layers", True, late > 0.5),
    ("weights without biases", "138 M", weights["total"]),
    ("values in all", "24 M", total, "the slide's own lines add up to 15.2 million"),
    ("megabytes (4 bytes each)", 96, round(4 * total / 1e6, 1), "it follows from the wrong 24 million"),
    ("megabytes, another slide", 93, round(4 * total / 1e6, 1), "wrong, too, and not even 4 times 24"),
)

# %%
print(f"four convolutions keep {early:.1%} of the values, three linear layers have {late:.1%} of the weights")
print(memory.notes[1])

# %% [markdown]
# Even if the outputs of all ReLUs are counted once more, it is not 24 million. So check sums, also your own.
#
# This picture explains what came later. Global average pooling removes the linear layers (parameters). A stride in the first layers makes the maps small early (memory and computing).
#
# ## 5. The same for less
#
# **Small kernels.** Three layers of 3x3 see 7x7 pixels. **Predict.** With C channels everywhere: how many weights have they, and how many one layer of 7x7? And two of 3x3 against one of 5x5?

# %%
print(comparisons.stacked())
three, one7 = comparisons.stacked().rows
two, one5 = comparisons.stacked(2).rows
lesson.compare(
    ("3 x 3x3, weights / C^2", 27, three[4]),
    ("1 x 7x7", 49, one7[4]),
    ("both see", (7, 7), (three[1], one7[1])),
    ("2 x 3x3 and 1 x 5x5", (18, 25), (two[4], one5[4])),
)

# %% [markdown]
# (A slide prints "18K against 25K" for the last line. As a ratio this is right; with K channels in and out it is 18 K² against 25 K².)
#
# **1x1 convolutions** in front of the expensive ones. In an Inception module, kernels of several sizes work side by side, and their maps are stacked. **Predict.** 256 channels of 28x28 go in. How many come out of 128 + 192 + 96 filters and a pooling? What happens to the cost if 1x1 convolutions first reduce the 256 channels to 64?

# %%
module = comparisons.inception_module()
print(module)

# %%
rows = {row[0]: row[1:] for row in module.rows}  # multiplications, weights, output
lesson.compare(
    ("naive: output", (672, 28, 28), rows["naive: total"][2]),
    ("naive: multiplications", "854 M", rows["naive: total"][0]),
    (
        "reduced: multiplications",
        "358 M",
        rows["reduced: total"][0],
        "counts the 3x3 twice; its lines sum to 271 million",
    ),
    ("its sum, with the 3x3 counted twice", "358 M", rows["reduced: total"][0] + rows["reduced: 3x3"][0]),
)

# %% [markdown]
# **Separable convolutions.** A normal filter looks at the window and at all channels at once. A separable one does it in two steps: one kernel for each channel (*depthwise*), then 1x1 filters that mix the channels (*pointwise*). **Predict.** 512 channels in and out, 3x3. By which factor does it get cheaper, and what is the most that it can be?

# %%
print(comparisons.separable(512))


# %%
def separable(*args, **options):
    """Parameters of a full and of a separable convolution."""
    full, both = comparisons.separable(*args, **options).rows
    return full[1], both[1]


wide, narrow = comparisons.separable(512).rows, comparisons.separable(64).rows
lesson.compare(
    ("512 channels, 3x3", ("2.4 M", "0.3 M"), separable(512)),
    ("1028 channels, 3x3", ("9.5 M", "1.1 M"), separable(1028)),
    ("1028 channels, 5x5", ("26.4 M", "1.1 M"), separable(1028, kernel=5)),
    ("3 to 64 channels, 3x3, with biases", (1792, 286), separable(3, 64, size=10, padding=0, bias=True)),
    ("9 C / (9 + C) for C = 512", 8.84, round(wide[0][2] / wide[1][2], 2)),
    ("for C = 64", 7.89, round(narrow[0][2] / narrow[1][2], 2)),
)

# %% [markdown]
# At most it is 9 times cheaper, the size of the kernel. `comparisons` has more such tables: `bottleneck()`, `factorised()`, `fire()`, `fully_connected()`.
#
# ## 6. What a unit sees
#
# The *receptive field* of a unit is the part of the image that it depends on. Each layer with a kernel $K$ makes it larger by $(K - 1)$ *jumps*; the jump is the product of the strides so far.
#
# **Predict.** How large are the fields in LeNet-5: after the first convolution (5x5), the first pooling (2x2, stride 2), the second convolution, the second pooling?

# %%
field = receptive_field(LeNet5().features, (1, 32, 32))
print(field)


# %%
def side(*layers, size=640):
    """The side of the receptive field of the last layer."""
    return int(receptive_field(nn.Sequential(*layers), (layers[0].in_channels, size, size)).size[0])


with minicnn.device("meta"):
    features, stack = list(get_model("vgg16").features), [nn.Conv2d(8, 8, 3) for _ in range(3)]
    fields = side(*features[:30]), side(*features), side(*features, nn.Conv2d(512, 4096, 7))
lesson.compare(
    ("three 3x3", 7, side(*stack)),
    ("two 3x3", 5, side(*stack[:2])),
)

# %%
lesson.compare(
    ("LeNet-5 after the second pooling", 16, int(field.size[0])),
    ("VGG-16: last convolution, last pooling, first linear layer", (196, 212, 404), fields),
    column="by hand",
)

# %% [markdown]
# 404 is more than the 224 pixels of the image: the layer that decides sees all of it, from everywhere. In LeNet-5, too, the first linear layer is the first that sees the whole image.
#
# The field says what a unit *can* see. How much does each pixel really count? The gradient of one unit by the pixels tells. **Predict.** Is it the same everywhere in the field?

# %%
minicnn.manual_seed(0)
with minicnn.device("meta"):
    deep_size = side(*[nn.Conv2d(1 if i == 0 else 16, 16, 3) for i in range(8)])
deep = nn.Sequential(*[layer for i in range(8) for layer in (nn.Conv2d(16 if i else 1, 16, 3, padding=1), nn.ReLU())])
print("eight layers of 3x3 see", deep_size, "pixels across")
visualize.field(deep, (1, 33, 33), empirical=True)

# %%
share = empirical_receptive_field(deep, (1, 33, 33)).weights
share = share / share.sum()  # (33, 33)
inner = share[12:21, 12:21].sum()
print(f"the 9x9 pixels in the middle are {81 / deep_size**2:.0%} of the field, and count for {inner:.0%}")

# %% [markdown]
# Pixels in the middle reach the unit on many ways through the layers, the one in a corner of the field on a single one. (These weights are random. Training changes the picture, but the middle stays strong.)
#
# ## 7. Is it worth it?
#
# Published nets, one or two of each family, with their accuracy on ImageNet. Left is cheap, up is good; a large bubble has many parameters.
#
# **Predict.** Where are AlexNet and VGG in this picture? Where are the nets for phones?

# %%
visualize.accuracy()

# %% [markdown]
# AlexNet is near the bottom, VGG far to the right, and both have large bubbles. The nets for phones are small bubbles on the left. MobileNet reaches nearly the accuracy of VGG-16 with a small part of its MACs.
#
# Numbers of challenges are not in this picture, since several nets together reached them. A slide gives "the deepest ResNet" a top-5 accuracy of 96.43 %: that is $100 - 3.57$, and 3.57 % is the error of six nets. A single ResNet-152 has 4.5 %, if it sees each image in several sizes.
#
# ## Exercises


# %%
def receptive_field_by_hand(layers):
    raise NotImplementedError  # your code: from (kernel, stride, dilation) of each layer to (field, jump)


check(receptive_field_by_hand, "receptive_field")

# %% [markdown]
# More of this kind: `minicnn exercise new depthwise_conv2d` and `conv2d_groups`. For paper and pencil, with any numbers: `minicnn exercise quiz costs`, `nets`, `fields` and `inception`. Slides are full of programs with a mistake, too: `minicnn exercise quiz bugs`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `with minicnn.device("meta"):` | `with torch.device("meta"):` |
# | `minicnn.models.get_model("resnet50")` | `torchvision.models.get_model("resnet50")` |
# | `sum(p.numel() for p in net.parameters())` | the same |
# | `minicnn.summary(net, (3, 224, 224))` | `torchsummary.summary(net, (3, 224, 224))`, a package of its own; without MACs and receptive fields |
# | `summary(...).total_macs` | `torch.utils.flop_counter.FlopCounterMode` counts 2 for each MAC; the package `fvcore` counts MACs and calls them flops |
# | `receptive_field`, `empirical_receptive_field`, `comparisons` | nothing |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How many multiplications has a 3x3 convolution of 64 channels to 64, with padding 1, over 56x56 pixels?",
        115_605_504,
        comparisons.stacked(1).rows[0][5],
        "56 * 56 * 64 * 3*3*64",
    ),
    (
        "How many 3x3 layers with stride 1 see 15x15 pixels?",
        7,
        next(n for n in range(1, 20) if side(*stack[:1] * n) == 15),
        "each adds 2 to the 1",
    ),
    (
        "Why can a net with fewer parameters be slower?",
        "A convolution uses each weight at every place. Time follows the MACs and the memory, not the parameters.",
    ),
)
