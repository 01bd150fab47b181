# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 09 AlexNet to GoogLeNet
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/09_alexnet_to_googlenet.ipynb)
#
# **After this notebook you can**
#
# - say what each of AlexNet, ZFNet, VGG, Network in Network and GoogLeNet brought,
# - count their parameters, and find the numbers on slides that are wrong,
# - say why two 3x3 convolutions are cheaper than one 5x5, and what a 1x1 convolution is for,
# - compare nets fairly: same cost, same data, same training, same seeds.
#
# **It builds on** the notebooks before it: convolution, cost of a layer, training loop. It computes for about a minute, and takes an hour.

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
from minicnn import analysis, explain, models, nn, optim, visualize
from minicnn.analysis import comparisons
from minicnn.analysis.table import Table
from minicnn.exercises import check, lesson
from minicnn.models.alexnet import local_response_norm
from minicnn.models.googlenet import MODULES, Inception
from minicnn.models.inception_parts import PlainConv2d
from minicnn.models.nin import Block, NiN
from minicnn.models.start_values import he_normal
from minicnn.models.vgg import make_layers
from minicnn.train import spread, train_with_seeds
from minicnn.utils.data import DataLoader, Subset, TensorDataset

minicnn.set_num_threads(1)  # the nets are small: two threads would mostly wait for each other

# %% [markdown]
# ## 1. A challenge
#
# ImageNet: 1.2 million photographs, 1000 classes. An answer counts as right if the class is among the five best guesses.
#
# **Predict.** In 2011, with features made by hand, the best entry had an error of 26 %. By how much did a convolutional net lower it in 2012? How many layers had the winner of 2015?

# %%
visualize.ilsvrc()

# %% [markdown]
# Hatched bars are averages of several nets. A single AlexNet has an error of 18.2 %, and the average of seven 15.4 % on the validation images (two of the seven had seen more images). Slides often compare a single net with an average of several: that is not fair. Let us be fair here.

# %%
error = {entry.name: entry.error for entry in visualize.ILSVRC}
layers = {entry.name: entry.layers for entry in visualize.ILSVRC}
lesson.compare(
    ("AlexNet: top-5 accuracy (%)", 83.6, 100 - error["AlexNet"]),
    ("VGG and GoogLeNet: top-5 error (%)", (7.3, 6.7), (error["VGG"], error["GoogLeNet"])),
    ("ResNet: top-5 accuracy (%)", 96.43, 100 - error["ResNet"]),
    ("layers in the years 2012 to 2015", (8, 8, 19, 22, 152), [n for n in layers.values() if n]),
    ("seven AlexNets instead of one: points of error", 2.8, 18.2 - 15.4),
    tolerance=1e-9,
)

# %% [markdown]
# ## 2. A race under one budget
#
# We build each net in miniature, for images of 32x32 pixels. The rules:
#
# - **One budget**: each net is made as wide as possible, with at most 1.7 million multiply-accumulates (MACs) for an image.
# - **One recipe**: Adam, one cycle of the learning rate, the same images in the same order, the same seeds, He's start values.
# - **No dropout**, no augmentation: the training is too short for them to help. AlexNet and its followers have dropout 0.5 before their linear layers; notebook 12 looks at that.
#
# So the race tells what a *structure* makes of a small budget. It does not tell which net is best on ImageNet.
#
# The next cell takes a part of CIFAR-10, as two tensors in memory.

# %%
BUDGET, EPOCHS, SEEDS = 1_700_000, 5, (0, 1)
pictures = lesson.images("cifar10", normalize=True)
print(pictures)


def part(dataset, count):
    """The first images of a dataset, in memory."""
    some = Subset(dataset, range(min(count, len(dataset))))
    return TensorDataset(*next(iter(DataLoader(some, len(some)))))


train_set, test_set = part(pictures.train, 1000), part(pictures.test, 300)

# %% [markdown]
# A net is a function of its width $w$. The widest one that fits the budget is found by counting, on shapes alone. Then it is trained with each seed.


# %%
def cost(make, width):
    """Parameters and MACs, without computing anything."""
    with minicnn.device("meta"):
        return analysis.summary(make(width), (3, 32, 32), verbose=0)


results, widths = {}, {}


def race(name, make):
    """Train the widest net that fits the budget."""
    widths[name] = max(w for w in range(1, 60) if cost(make, w).total_macs <= BUDGET)

    def start():
        net = make(widths[name])
        he_normal(net, "fan_in")
        return net

    results[name] = train_with_seeds(
        start, lambda net: optim.Adam(net.parameters()), train_set, test_set, EPOCHS, seeds=SEEDS, batch_size=50,
        make_scheduler=lambda adam, steps: optim.lr_scheduler.OneCycleLR(adam, 0.002, total_steps=steps, pct_start=0.2),
    )  # fmt: skip
    found = cost(make, widths[name])
    accuracy = spread(results[name].last("val_top1"), 1, 100)
    print(f"{name}: {found.total_params:,} parameters, {found.total_macs:,} MACs, test accuracy {accuracy} %")


# %% [markdown]
# ## 3. LeNet, 1998
#
# Convolution, pooling, convolution, pooling, then linear layers; tanh. The net of 1998, with as many filters as the budget allows.


# %%
def lenet(w):
    return nn.Sequential(
        nn.Conv2d(3, w, 5), nn.Tanh(), nn.AvgPool2d(2),           # 3x32x32 -> w x 28x28 -> w x 14x14
        nn.Conv2d(w, 2 * w, 5), nn.Tanh(), nn.AvgPool2d(2),       # -> 2w x 10x10 -> 2w x 5x5
        nn.Flatten(), nn.Linear(50 * w, 20 * w), nn.Tanh(),
        nn.Linear(20 * w, 14 * w), nn.Tanh(), nn.Linear(14 * w, 10),
    )  # fmt: skip


race("LeNet", lenet)

# %% [markdown]
# ## 4. AlexNet, 2012: ReLU, dropout, two GPUs
#
# **Predict.** AlexNet's first layer has 96 filters of 11x11 with stride 4, over images of 227x227. How large is its output? How many of the 62 million parameters are in it?

# %%
with minicnn.device("meta"):
    alexnets = {name: models.get_model(name) for name in ("alexnet_lrn", "alexnet_two_towers", "alexnet_simple")}
first = alexnets["alexnet_lrn"].features[:3](minicnn.empty(1, 3, 227, 227, device="meta"))  # conv, ReLU, pool
conv1 = alexnets["alexnet_lrn"].features[0]
parameters = {name: sum(p.numel() for p in net.parameters()) for name, net in alexnets.items()}
lesson.compare(
    ("CONV1: side of the output", 55, (227 - 11) // 4 + 1),
    ("CONV1: parameters", "35 K", sum(p.numel() for p in conv1.parameters())),
    ("CONV1: weights", 34_848, conv1.weight.numel()),
    ("POOL1: output", (96, 27, 27), first.shape[1:]),
    ("AlexNet, one tower: parameters", 62_378_344, parameters["alexnet_lrn"]),
    ("the same, of another slide", "62 M", parameters["alexnet_lrn"]),
    ("AlexNet, two towers: parameters", "60 M", parameters["alexnet_two_towers"], "60,965,224 are 61 M"),
    ("a listing with the widths 96, 192, 384, 256, 256", "62 M", parameters["alexnet_simple"],
     "the first width is of one version, the others of another"),
)  # fmt: skip

# %% [markdown]
# So "AlexNet" is the name of several nets. (That of torchvision, `models.alexnet()`, is yet another one.) In that of the paper, each half of the channels was on its own GPU (groups = 2): half of the weights of three layers are missing.
#
# What it brought:
#
# - **ReLU**: $\max(0, x)$ has slope 1 wherever it is positive; tanh is flat where $|x|$ is large. The paper quotes a training that is six times as fast. We test that in section 9.
# - **Dropout**: half of the units of the large linear layers are 0 at random, so that no unit relies on another one.
# - **Local response normalisation** (LRN): a unit is divided by the strength of its neighbours at the same place in other channels. Later nets left it out.
# - **Overlapping pooling**: windows of 3 with stride 2.
#
# In miniature, with the same order of layers:


# %%
def conv(inputs, outputs, kernel, stride=1):
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU()]


def pool():
    return nn.MaxPool2d(3, 2, ceil_mode=True)  # 16x16 -> 8x8


def linear(inputs, hidden):
    first, second, last = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 10)
    return [nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), last]


def alexnet(w):
    return nn.Sequential(
        *conv(3, 2 * w, 5, 2), local_response_norm(), pool(),       # 3x32x32 -> 2w x 16x16 -> 2w x 8x8
        *conv(2 * w, 5 * w, 5), local_response_norm(), pool(),      # -> 5w x 8x8 -> 5w x 4x4
        *conv(5 * w, 8 * w, 3), *conv(8 * w, 8 * w, 3), *conv(8 * w, 5 * w, 3), pool(), *linear(20 * w, 16 * w),
    )  # fmt: skip


race("AlexNet", alexnet)

# %% [markdown]
# ## 5. ZFNet, 2013: look inside, then improve
#
# Its authors looked at what AlexNet's filters respond to. The first layer was too coarse: 11x11 with stride 4 became 7x7 with stride 2. In miniature, 5x5 with stride 2 becomes 3x3 with stride 1, and the second convolution gets the stride, as in the paper.


# %%
def zfnet(w):
    return nn.Sequential(
        *conv(3, 2 * w, 3), pool(), local_response_norm(),             # 3x32x32 -> 2w x 32x32 -> 2w x 16x16
        *conv(2 * w, 5 * w, 5, 2), pool(), local_response_norm(),      # -> 5w x 8x8 -> 5w x 4x4
        *conv(5 * w, 8 * w, 3), *conv(8 * w, 8 * w, 3), *conv(8 * w, 5 * w, 3), pool(), *linear(20 * w, 16 * w),
    )  # fmt: skip


race("ZFNet", zfnet)

# %%
with minicnn.device("meta"):
    zfnets = {name: models.get_model(name) for name in ("zfnet", "zfnet_wide")}
inputs = minicnn.empty(1, 3, 224, 224, device="meta")
sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in zfnets.items()}
lesson.compare(
    ("ZFNet: output of the first layer", (96, 110, 110), zfnets["zfnet"].features[0](inputs).shape[1:]),
    ("512, 1024, 512 filters: more than 107 million parameters", True, sizes["zfnet_wide"] > 107e6),
    ("the same of the net in the paper's figure (384, 384, 256)", True, sizes["zfnet"] > 107e6,
     "62.4 million; the larger net is a variant in the same paper"),
)  # fmt: skip

# %% [markdown]
# What error had ZFNet? One slide prints 14.8 %, another 11.7 %. The first is that of the paper, an average of six nets. The second is that of *Clarifai*, the winner of 2013: later nets of the same first author, so not ZFNet.
#
# ## 6. VGG, 2014: nothing but 3x3
#
# Notebook 08 counted three layers of 3x3 against one of 7x7: both see the same, with 27 and 49 weights for each pair of channels.
#
# **Predict.** Two layers of 3x3, one after the other: what do they see, and what do they save?

# %%
two = comparisons.stacked(layers=2)
print(two)

# %%
with minicnn.device("meta"):
    vggs = {name: models.get_model(name) for name in ("vgg11", "vgg11_lrn", "vgg13", "vgg16_c", "vgg16", "vgg19")}
weighted = [sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules()) for net in vggs.values()]
millions = [round(sum(p.numel() for p in net.parameters()) / 1e6) for net in vggs.values()]
lesson.compare(
    ("two 3x3 see", 5, two["2 x 3x3", "receptive field"]),
    ("weights per pair of channels: two 3x3, and one 5x5", (18, 25), two.column("weights / C^2")),
    ("VGG A, A-LRN, B, C, D, E: layers", (11, 11, 13, 16, 16, 19), weighted),
    ("the same: million parameters", (133, 133, 133, 134, 138, 144), millions),
)  # fmt: skip

# %% [markdown]
# The small layers need fewer weights, and there is a ReLU between them. VGG is this idea, up to 19 layers deep.
#
# **Predict.** VGG-16 has 138 million parameters. How many are left if the three linear layers at its end are taken off?

# %%
print(f"{sum(p.numel() for p in vggs['vgg16'].features.parameters()):,} in the convolutions")


# %%
def vgg(w):
    stages = make_layers([w, w, "M", 2 * w, 2 * w, "M", 4 * w, 4 * w, "M"])  # 3x32x32 -> 4w x 4x4
    return nn.Sequential(stages, *linear(64 * w, 16 * w))


race("VGG", vgg)

# %% [markdown]
# ## 7. Network in Network, 2013: 1x1 convolutions and no linear layer
#
# A 1x1 convolution mixes the channels of each pixel: the same small linear layer at every place. Two of them after a convolution make a small net that slides over the image.
#
# And at the end: one map for each class, and its *mean* is the score (global average pooling). It has no parameters, and takes images of any size.
#
# **Predict.** How many parameters would a linear layer from 1024x7x7 numbers to 1000 classes have? And one from 1024 means?


# %%
def nin(w):
    return NiN([
        Block((4 * w, 4 * w, 2 * w), 5, 2, 2, "", False),          # 5x5/2, 1x1, 1x1: 3x32x32 -> 2w x 16x16
        Block((4 * w, 4 * w, 4 * w), 3, 1, 1, "max", False),       # -> 4w x 8x8
        Block((4 * w, 4 * w, 0), 3, 1, 1, "", False),              # -> 10 x 8x8, whose means are the scores
    ])  # fmt: skip


race("NiN", nin)
for name, layer in (("all numbers", nn.Linear(1024 * 49, 1000)), ("means", nn.Linear(1024, 1000))):
    print(f"{name}: {sum(p.numel() for p in layer.parameters()):,} parameters")

# %% [markdown]
# ## 8. GoogLeNet, 2014: branches side by side
#
# Which kernel is right: 1x1, 3x3 or 5x5? The Inception module takes all of them, side by side, and a pooling. Their outputs are concatenated. Drawn is module 4c:

# %%
with minicnn.device("meta"):
    module = Inception(*MODULES["4c"], conv_block=PlainConv2d, kernel_size=5)
visualize.diagram(module, (512, 14, 14))

# %% [markdown]
# 1x1 convolutions *before* the large kernels reduce the channels. Notebook 08 counted what they save on 256 channels: 271 million multiplications in place of 854 million.
#
# **Predict.** Module 4c has 512 channels in and out. How many parameters has it, and how many has one 3x3 convolution of 512 channels?

# %%
print(comparisons.inception_against_convolution())

# %%
against = comparisons.inception_against_convolution()
ratio = against["3x3 convolution", "parameters"] / against["module", "parameters"]
lesson.compare(
    ("Inception 512 to 512: parameters", 510_104, against["module", "parameters"]),
    ("3x3 convolution 512 to 512: parameters", 2_359_808, against["3x3 convolution", "parameters"]),
    ("how many times as many", 4, ratio, "4.6: rounded down"),
    ("modules", 9, len(MODULES)),
)  # fmt: skip

# %% [markdown]
# A slide says that GoogLeNet has no linear layers. It has one, after global average pooling: 1024 means to 1000 classes.
#
# **Auxiliary heads.** The net was deep for its time, without batch norm. Two small classifiers in the middle have losses of their own, which bring gradients to the lower layers: $L + 0.3\,L_1 + 0.3\,L_2$. After the training they are thrown away. Our miniature has one head, after the second module.


# %%
class GoogLeNet(nn.Module):
    def __init__(self, w, head=True):
        super().__init__()
        self.stem = nn.Sequential(*conv(3, 6 * w, 3, 2))  # 3x32x32 -> 6w x 16x16
        self.early = nn.Sequential(self.module(6 * w, w), pool(), self.module(8 * w, w))  # -> 8w x 8x8
        self.late = self.module(8 * w, 2 * w)  # -> 16w x 8x8
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16 * w, 10))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32 * w, 10)) if head else None

    @staticmethod
    def module(inputs, k):  # 2k of 1x1, 4k of 3x3, k of 5x5, k after the pooling: 8k maps
        return Inception(inputs, 2 * k, 2 * k, 4 * k, k, k, k, conv_block=PlainConv2d, kernel_size=5)

    def forward(self, x):
        middle = self.early(self.stem(x))
        scores = self.classifier(self.late(middle))
        return (scores, self.head(middle)) if self.training and self.head else scores


race("GoogLeNet", GoogLeNet)

# %% [markdown]
# `minicnn.train.train` adds the loss of a head with the factor 0.3 by itself. What does it do for the gradients of the first layer? The same start, the same images, with the head and without:

# %%
batch = train_set[:64]
for head in (True, False):
    minicnn.manual_seed(0)
    net = GoogLeNet(8, head)
    rows = explain.gradient_flow(net, *batch, layers=["stem.0"], training=True)
    print(f"head: {head!s:5}  mean |gradient| of the first weights: {rows[0].weight.mean:.2e}")

# %% [markdown]
# Both are near each other: our miniature is so shallow that its gradients reach the first layer without help. The heads were made for 22 layers.
#
# ## 9. The finish
#
# **Predict.** Which net has the most parameters, although all cost about the same? Which one is the most accurate?

# %%
makers = {"LeNet": lenet, "AlexNet": alexnet, "ZFNet": zfnet, "VGG": vgg, "NiN": nin, "GoogLeNet": GoogLeNet}
rows = []
for name, make in makers.items():
    found, trials = cost(make, widths[name]), results[name]
    accuracy = [spread(trials.last(field), 1, 100) for field in ("train_top1", "val_top1")]
    rows.append([name, found.total_params, found.total_macs, *accuracy, trials.seconds / len(SEEDS)])
columns = ["", "parameters", "MACs", "training accuracy (%)", "test accuracy (%)", "seconds"]
print(Table("Six nets under one budget", columns, rows, [f"{EPOCHS} epochs; mean and range of {len(SEEDS)} seeds"]))
best = max(rows, key=lambda row: sum(results[row[0]].last("val_top1")))
print(f"\nMost accurate here: {best[0]}. Most parameters: {max(rows, key=lambda row: row[1])[0]}.")

# %%
visualize.trials(results, title="Six nets, one budget, one recipe", judged="test")

# %% [markdown]
# Read the table with care:
#
# - Where ranges overlap, two seeds do not tell which net is better.
# - A deep net without batch norm starts slowly. With few epochs and few images a shallow one can win, although it loses on ImageNet. Batch norm and shortcuts (notebook 10) came later.
# - Equal MACs are not equal times: many small operations are slow.
# - GoogLeNet's training loss has the loss of its head in it, with the factor 0.3. So it lies higher; compare accuracies.
# - The order of parameters and that of accuracies need not be the same.
#
# **Predict.** Is a net with ReLU really faster than one with tanh? AlexNet's paper needed a sixth of the epochs to reach a training error of 25 %, with a learning rate chosen for each. Here: the LeNet of section 3, with the same recipe for both.


# %%
def lenet_with_relu(w):
    return nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.Tanh) else layer for layer in lenet(w)))


race("LeNet with ReLU", lenet_with_relu)
tanh, relu = (results[name].mean("train_loss") for name in ("LeNet", "LeNet with ReLU"))
for epoch, losses in enumerate(zip(tanh, relu, strict=False), 1):
    print(f"epoch {epoch}: training loss {losses[0]:.3f} with tanh, {losses[1]:.3f} with ReLU")
level = tanh[-1]
faster = [epoch for epoch, loss in enumerate(relu, 1) if loss <= level]
print(f"\ntanh reaches {level:.3f} in epoch {len(tanh)}; ReLU", f"in epoch {faster[0]}" if faster else "does not")

# %% [markdown]
# "Six times as fast" is a measurement of one net with one setting, not a constant of nature. In a shallow net with good start values tanh is hardly saturated, and the two are near each other. In a deep one it is different: notebook 10.
#
# ## Exercises
#
# How much does a stack see? Write the rule for any layers, each given by kernel, stride and dilation.


# %%
def receptive_field(layers):
    raise NotImplementedError  # your code: return the field and the jump


check(receptive_field, "receptive_field")

# %% [markdown]
# For paper and pencil: `minicnn exercise quiz inception`, `minicnn exercise quiz nets` and `minicnn exercise quiz costs`. More to write: `minicnn exercise new conv2d_groups` (the two towers of AlexNet) and `minicnn exercise new avg_pool2d_forward`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `models.alexnet()`, `models.vgg16()`, `models.googlenet()` | `torchvision.models.alexnet()` and so on; the same names in the state dict |
# | `models.zfnet()`, `models.nin()`, `models.googlenet_2014()` | not in torchvision |
# | `nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)` | `torch.nn.LocalResponseNorm(...)`; it divides alpha by the size, the paper does not |
# | `nn.AdaptiveAvgPool2d(1)` | `torch.nn.AdaptiveAvgPool2d(1)`: global average pooling |
# | `nn.MaxPool2d(3, 2, ceil_mode=True)` | `torch.nn.MaxPool2d(3, 2, ceil_mode=True)` |
# | `optim.lr_scheduler.OneCycleLR(...)` | `torch.optim.lr_scheduler.OneCycleLR(...)` |
# | `train_with_seeds`, `analysis.comparisons` | nothing |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "Three 3x3 convolutions with C channels: how many weights, as a multiple of C^2?",
        27,
        comparisons.stacked()["3 x 3x3", "weights / C^2"],
        "3 * 9; one 7x7 has 49",
    ),
    (
        "By which factor has one 3x3 convolution of 512 channels more parameters than Inception module 4c?",
        "4.6",
        ratio,
        "2,359,808 / 510,104",
    ),
    (
        "What does global average pooling save?",
        "The large linear layers: nine tenths of the parameters of VGG-16 are in them. It has none itself.",
    ),
)
