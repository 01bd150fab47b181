# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 11 Efficient networks
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/11_efficient_networks.ipynb)
#
# **After this notebook you can**
#
# - take a convolution apart into depthwise and pointwise, and say what that is equal to,
# - count what groups, separable convolutions, bottlenecks and squeeze-and-excitation cost,
# - tell how MobileNet, ShuffleNet, SqueezeNet, Xception and EfficientNet save,
# - say why fewer multiplications are not always less time, and measure it.
#
# **It builds on** notebooks 08 (counting), and 09 and 10 (blocks of nets). It computes for about a minute; read it in an hour.

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
import matplotlib.pyplot as plt
import numpy as np

import minicnn
from minicnn import models, nn, optim, visualize
from minicnn.analysis import comparisons
from minicnn.bench.timing import best_times
from minicnn.exercises import check, lesson
from minicnn.models.efficientnet import compound_scaling
from minicnn.nn import functional as F
from minicnn.optim.lr_scheduler import CosineAnnealingLR
from minicnn.utils.data import DataLoader, Subset

minicnn.set_num_threads(1)  # the nets are small: two threads would mostly wait for each other

# %% [markdown]
# ## 1. Two jobs of a convolution
#
# A convolution looks at a *window* (in space) and mixes *channels*, both at once. Each pair of input and output channel has its own table of $k \times k$ weights. Do we need to do both at once?
#
# **Depthwise**: one table for each channel; channels are not mixed. **Pointwise**: a 1x1 convolution; only channels are mixed. One after the other they are a *separable* convolution.
#
# **Predict.** 64 filters of 3x3 over a colour image of 10x10, with biases: how many parameters? And separable: depthwise over 3 channels, then pointwise from 3 to 64?

# %%
full = nn.Conv2d(3, 64, 3)
depthwise = nn.Conv2d(3, 3, 3, groups=3)
pointwise = nn.Conv2d(3, 64, 1)
separable = nn.Sequential(depthwise, pointwise)


def count(net):
    return sum(p.numel() for p in net.parameters())


x = minicnn.randn(1, 3, 10, 10)
lesson.compare(
    ("full, parameters", 1792, count(full)),
    ("depthwise and pointwise", 286, count(separable)),
    ("output of the full one", (64, 8, 8), tuple(full(x).shape[1:])),
    ("output of the separable one", (64, 8, 8), tuple(separable(x).shape[1:])),
)

# %% [markdown]
# **What is it equal to?** With nothing between the two (no ReLU, no bias), the pair is one full convolution, whose filters are products:
#
# $$w_{o,c,a,b} = p_{o,c}\; d_{c,a,b}$$
#
# So all 64 filters look at channel $c$ through the *same* table $d_c$, and differ only in how much they take of it. That is what is given up.

# %%
d, p = depthwise.weight, pointwise.weight  # (3, 1, 3, 3), (64, 3, 1, 1)
product = p * d.reshape(1, 3, 3, 3)  # (64, 3, 3, 3)
by_pair = F.conv2d(F.conv2d(x, d, groups=3), p)
print("the same as one full convolution:", minicnn.allclose(by_pair, F.conv2d(x, product), atol=1e-5))

# %% [markdown]
# ## 2. Groups
#
# `groups=g` cuts the channels into g parts, which never meet. **Predict.** A layer of 4 channels to 6 with `groups=2`: how many weights has it, if 3x3? To what is it equal? And for `groups=4`, what must hold for the number of outputs?

# %%
minicnn.manual_seed(0)
x = minicnn.randn(2, 4, 5, 5)
two = nn.Conv2d(4, 6, 3, groups=2, bias=False)
halves = [F.conv2d(part, w) for part, w in zip(x.chunk(2, 1), two.weight.chunk(2, 0), strict=True)]
print("two layers side by side:", minicnn.allclose(two(x), minicnn.cat(halves, 1), atol=1e-6))
each = nn.Conv2d(4, 4, 3, groups=4, bias=False)
alone = [F.conv2d(x[:, c : c + 1], each.weight[c : c + 1]) for c in range(4)]
print("groups = channels is depthwise:", minicnn.allclose(each(x), minicnn.cat(alone, 1), atol=1e-6))
try:
    nn.Conv2d(4, 6, 3, groups=4)
except ValueError as error:
    print(error)

# %%
lesson.compare(
    ("weights, 4 to 6 channels, 3x3, one group", 216, nn.Conv2d(4, 6, 3, bias=False).weight.numel()),
    ("two groups: half of them", 108, two.weight.numel()),
    ("as many groups as channels, 4 to 4", 36, each.weight.numel()),
)

# %% [markdown]
# **Groups never mix.** Stack grouped 1x1 layers, and the first outputs still know nothing of the last inputs. ShuffleNet deals the channels out to all groups in between, which costs no multiplication.
#
# **Predict.** Six channels in two groups, 0 1 2 | 3 4 5. After the shuffle, which channels are in the first group?

# %%
channels = minicnn.arange(6).reshape(1, 6, 1, 1)
print(F.channel_shuffle(channels, 2).flatten().tolist())
first, second = (nn.Conv2d(6, 6, 1, groups=2, bias=False).weight for _ in range(2))


def mixed(shuffle):
    """Which output depends on which input after two grouped layers: |dy_o/dx_c|, (6, 6)."""
    rows = F.conv2d(minicnn.eye(6).reshape(6, 6, 1, 1), first, groups=2)  # each image has one channel that is 1
    rows = F.channel_shuffle(rows, 2) if shuffle else rows
    return F.conv2d(rows, second, groups=2).detach().abs().reshape(6, 6).T  # (outputs, inputs)


figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
for ax, shuffle in zip(axes, (False, True), strict=True):
    ax.imshow(mixed(shuffle).numpy(), cmap="Blues", vmin=0)
    ax.set(title="with the shuffle" if shuffle else "without", xlabel="input channel", ylabel="output channel")
plt.show()

# %% [markdown]
# The two white blocks are exactly 0: no path. With the shuffle, all outputs depend on all inputs after two layers.
#
# ## 3. What is saved
#
# For $C$ channels in and out, and $H \times W$ outputs:
#
# $$\text{full: } 9\,C^2\,HW \qquad \text{separable: } 9\,C\,HW + C^2\,HW$$
#
# **Predict.** By which factor is the separable one cheaper with very many channels? With 64?

# %%
print(comparisons.separable(512))


# %%
def weights(channels, kernel):
    """Weights of a full and of a separable convolution, from the layers themselves."""
    return tuple(row[1] for row in comparisons.separable(channels, kernel=kernel).rows)


def macs(channels, size=14):
    return tuple(row[2] for row in comparisons.separable(channels, size=size).rows)


(full_64, few_64), (full_512, few_512) = macs(64), macs(512)
lesson.compare(
    ("512 channels, 3x3: full", "2.4M", weights(512, 3)[0]),
    ("512 channels, 3x3: separable", "0.3M", weights(512, 3)[1]),
    ("1028 channels, 3x3: full", "9.5M", weights(1028, 3)[0]),
    ("1028 channels, 3x3: separable", "1.1M", weights(1028, 3)[1]),
    ("1028 channels, 5x5: full", "26.4M", weights(1028, 5)[0]),
    ("1028 channels, 5x5: separable", "1.1M", weights(1028, 5)[1]),
    ("MACs of a full one: 9 C² H W", 9 * 64**2 * 14**2, full_64),
    ("MACs of a separable one: 9 C H W + C² H W", 9 * 64 * 14**2 + 64**2 * 14**2, few_64),
    ("ratio 9C / (9 + C) for C = 64", 9 * 64 / (9 + 64), full_64 / few_64),
    ("for C = 512", 9 * 512 / (9 + 512), full_512 / few_512),
    tolerance=1e-9,
)

# %% [markdown]
# The factor goes to 9 and never above: then the pointwise part is nearly everything. With 5x5 the limit is 25. The window has become cheap, and the mixing of channels is what costs.
#
# ## 4. The nets
#
# | net | its idea |
# |---|---|
# | SqueezeNet | a *Fire* module: 1x1 to few channels, then 1x1 and 3x3 side by side |
# | Xception | Inception taken to its end: separable convolutions, with shortcuts |
# | MobileNet | after the first layer, separable convolutions only; a width multiplier makes all layers thinner |
# | MobileNet v2 | *inverted residual*: narrow, wide, narrow; depthwise where it is wide; no ReLU after the narrow end |
# | ShuffleNet | the 1x1 layers in groups too, with a shuffle |
# | SENet | each channel is scaled by a number that depends on the whole image |
# | EfficientNet | the block of MobileNet v2 with squeeze-and-excitation, from a search, scaled in depth, width and resolution together |
#
# The pictures are drawn from the modules themselves. The block of MobileNet v2; follow the channels:

# %%
visualize.diagram("mobilenet_v2", part="features.3", title="An inverted residual")

# %% [markdown]
# And the block of ShuffleNet: both 1x1 layers are in groups, and the shuffle is between them.

# %%
visualize.diagram("shufflenet_v1_g3", part="stage3.1", title="A block of ShuffleNet")

# %% [markdown]
# **Predict.** SqueezeNet has AlexNet's accuracy. A slide says: a fiftieth of the parameters, and less than 0.5 MB. Does it also need fewer multiplications than AlexNet?

# %%
small_nets = ("squeezenet1_0", "xception", "mobilenet_v1", "mobilenet_v2", "shufflenet_v1_g3", "efficientnet_b0")
table = comparisons.nets("alexnet_two_towers", *small_nets)
print(table)

# %%
rows = {row[0]: row for row in table.rows}
alexnet, squeezenet = rows["alexnet_two_towers"], rows["squeezenet1_0"]
lesson.compare(
    ("AlexNet's parameters against SqueezeNet's", 50, round(alexnet[1] / squeezenet[1], 1), "rounded on the slide"),
    ("SqueezeNet in MB (at most)", 0.5, squeezenet[2] / 1e6, "0.5 MB needs compressed weights; this is float32"),
    ("Xception's top-1 accuracy (published)", 79.0, rows["xception"][-1]),
)

# %% [markdown]
# Fewer parameters are not fewer multiplications: SqueezeNet has more of them than AlexNet, as its maps stay large for longer. Say which of the two you save.
#
# Where do the MACs of MobileNet go? **Predict.** What share of them is in 1x1 convolutions?

# %%
with minicnn.device("meta"):
    mobilenet = models.mobilenet_v1()
layers = minicnn.summary(mobilenet, (3, 224, 224), verbose=0).layers
modules = dict(mobilenet.named_modules())
cost = {"1x1": 0, "depthwise": 0, "first layer": 0, "linear": 0}
for layer in layers:
    module = modules.get(layer.name)
    if isinstance(module, nn.Linear):
        cost["linear"] += layer.macs
    elif isinstance(module, nn.Conv2d):
        kind = "1x1" if module.kernel_size == (1, 1) else "depthwise" if module.groups > 1 else "first layer"
        cost[kind] += layer.macs
for kind, number in cost.items():
    print(f"{kind:12} {number:12,} MACs, {number / sum(cost.values()):.1%}")

# %% [markdown]
# That is why ShuffleNet puts the 1x1 layers into groups. And squeeze-and-excitation? One mean for each channel, two small layers, a sigmoid, and each channel is scaled. **Predict.** For 256 channels of 56x56 and 16 in the middle: how many MACs, against a 3x3 convolution of the same size?

# %%
print(
    comparisons.compare(
        "Squeeze and excitation against a convolution, 256 channels",
        (256, 56, 56),
        {
            "3x3": lambda: nn.Conv2d(256, 256, 3, padding=1),
            "separable": lambda: nn.Sequential(nn.Conv2d(256, 256, 3, padding=1, groups=256), nn.Conv2d(256, 256, 1)),
            "squeeze and excitation": lambda: nn.SqueezeExcitation(256, 16),
        },
    )
)
block, maps = nn.SqueezeExcitation(256, 16), minicnn.rand(1, 256, 8, 8)
scale = (block(maps) / maps)[0]  # (256, 8, 8)
print("one scale for each channel:", minicnn.allclose(scale, scale[:, :1, :1].expand(256, 8, 8), atol=1e-4))

# %% [markdown]
# The 8,192 MACs are those of the two small layers, 2 * 256 * 16. The means and the scaling take one addition and one multiplication for each number of the maps: they are among the FLOPs, and still little.
#
# ## 5. Larger, but how? Compound scaling
#
# A net can get more layers (depth $d$), more channels (width $w$), or larger images (resolution $r$). **Predict.** By which factor do the MACs grow if each of them is doubled, one at a time?


# %%
def stack(depth, width, size):
    """MACs of `depth` 3x3 convolutions with `width` channels on images of size x size."""
    with minicnn.device("meta"):
        net = nn.Sequential(*(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)))
    return minicnn.summary(net, (width, size, size), verbose=0).total_macs


base = stack(4, 16, 28)
lesson.compare(
    ("twice the depth", 2, stack(8, 16, 28) / base),
    ("twice the width", 4, stack(4, 32, 28) / base),
    ("twice the resolution", 4, stack(4, 16, 56) / base),
    ("alpha * beta² * gamma² of the paper: about 2", 1.92, round(1.2 * 1.1**2 * 1.15**2, 2)),
)

# %% [markdown]
# So the cost grows as $d\,w^2\,r^2$. EfficientNet scales all three together: $d = \alpha^\phi$, $w = \beta^\phi$, $r = \gamma^\phi$ with $\alpha\,\beta^2\,\gamma^2 \approx 2$. Then each step of $\phi$ nearly doubles the MACs.

# %%
for phi in range(4):
    depth, width, resolution = compound_scaling(phi)
    growth = depth * width**2 * resolution**2
    print(f"phi {phi}: depth {depth:.2f}, width {width:.2f}, resolution {resolution:.2f}, MACs x {growth:.2f}")


# %%
def parameters(name):
    with minicnn.device("meta"):
        return count(models.get_model(name))


lesson.compare(
    ("EfficientNet-B1", "7.8M", parameters("efficientnet_b1")),
    ("EfficientNet-B3", "12M", parameters("efficientnet_b3")),
    ("EfficientNet-B4", "19M", parameters("efficientnet_b4")),
    ("EfficientNet-B7", "66M", parameters("efficientnet_b7")),
    ("ResNet-152", "60M", parameters("resnet152")),
)

# %% [markdown]
# By the slide, B1 has a higher accuracy than ResNet-152 (79.2 against 77.8 %), with an eighth of the parameters. Published accuracies against MACs:

# %%
visualize.accuracy("macs")

# %% [markdown]
# Good is the upper left. These accuracies come from different trainings, so read them with care.
#
# ## 6. MACs are not time
#
# **Predict.** A depthwise 3x3 layer of 64 channels has 64 times fewer MACs than the full one. Is it 64 times as fast? And which share of its time would it take to only copy its input?


# %%
def measured(x, layers):
    """MACs, bytes of input, output and weights, and seconds of each layer, forward."""
    with minicnn.no_grad():
        calls = {name: lambda layer=layer: layer(x) for name, layer in layers.items()}
        outputs = {name: call() for name, call in calls.items()}
        times = best_times(calls, seconds=1.5)
    for name, layer in layers.items():
        macs = minicnn.summary(layer, tuple(x.shape[1:]), verbose=0).total_macs * len(x)
        moved = 4 * (x.numel() + outputs[name].numel() + count(layer))
        yield name, macs, moved, times[name]


# %%
x = minicnn.randn(4, 64, 56, 56)
kinds = {
    "full 3x3": nn.Conv2d(64, 64, 3, padding=1, bias=False),
    "depthwise 3x3": nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False),
    "pointwise 1x1": nn.Conv2d(64, 64, 1, bias=False),
}
found = list(measured(x, kinds))
for name, macs_of, moved, seconds in found:
    print(f"{name:14} {macs_of:11,} MACs  {macs_of / moved:6.2f} MACs per byte  {macs_of / seconds / 1e9:7.1f} GMAC/s")
(_, many, _, slow), (_, less, _, quick), _ = found
copy = best_times({"copy": x.clone}, seconds=0.5)["copy"]
print("On this machine, now:")
print(f"depthwise against full: {many / less:.0f} times fewer MACs, {slow / quick:.1f} times as fast")
print(f"a copy of the input takes {copy / quick:.0%} of the time of the depthwise layer")

# %% [markdown]
# *MACs per byte* is the **arithmetic intensity**: how much is computed for each byte that is read or written. A full convolution uses each number of its input hundreds of times (9 * 64), so it becomes a large product of matrices, which processors do best. A depthwise one uses it nine times: then loading, storing and finding the addresses take as long as multiplying, or longer. The copy is the least that any layer with this input could take. Where memory is slow against the multipliers, as on a GPU (notebook 15), a depthwise layer comes near to it; here there is more to it than memory.
#
# So fewer MACs make a layer faster, but by less than the MACs say, and by how much depends on the machine. The designers of ShuffleNet v2 and MNASNet measured time on a phone for this reason.
#
# ## 7. The same budget, spent in two ways
#
# Two small nets with the same MACs: full convolutions with few channels, and separable ones with more. **Predict.** How many channels can the separable net afford? Which is better after a short training?


# %%
def layer(kind, channels, out):
    if kind == "full":
        convolution = [nn.Conv2d(channels, out, 3, padding=1, bias=False)]
    else:
        depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        convolution = [depthwise, nn.BatchNorm2d(channels), nn.Conv2d(channels, out, 1, bias=False)]
    return nn.Sequential(*convolution, nn.BatchNorm2d(out), nn.ReLU())


def small(kind, width):
    """A first layer, then two layers of this kind, with pooling; (N, 1, 16, 16) -> (N, 10)."""
    pool, end = nn.MaxPool2d(2), [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10)]
    first, second, third = layer("full", 1, width), layer(kind, width, width), layer(kind, width, 2 * width)
    return nn.Sequential(first, pool, second, pool, third, *end)


def cost_of(kind, width):
    with minicnn.device("meta"):
        return minicnn.summary(small(kind, width), (1, 16, 16), verbose=0).total_macs


budget = cost_of("full", 12)
wide = max(width for width in range(12, 60) if cost_of("separable", width) <= budget)
for kind, width in (("full", 12), ("separable", wide)):
    print(f"{kind:9} {width} channels: {cost_of(kind, width):,} MACs, {count(small(kind, width)):,} parameters")

# %%
data = lesson.images("mnist", side=16, normalize=True)
print(data)
x, y = next(iter(DataLoader(Subset(data.train, range(min(3000, len(data.train)))), batch_size=3000)))
test_x, test_y = next(iter(DataLoader(Subset(data.test, range(min(1000, len(data.test)))), batch_size=1000)))


def trained(kind, width, seed, steps=100):
    minicnn.manual_seed(seed)
    net = small(kind, width)
    optimizer = optim.Adam(net.parameters(), lr=0.02)
    schedule = CosineAnnealingLR(optimizer, steps)  # the rate falls to 0
    for _ in range(steps):
        batch = minicnn.randint(len(x), (50,))
        optimizer.zero_grad()
        F.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
        schedule.step()
    net.eval()
    with minicnn.no_grad():
        return (net(test_x).argmax(1) == test_y).float().mean().item()


# %%
right = {kind: [trained(kind, width, seed) for seed in range(3)] for kind, width in (("full", 12), ("separable", wide))}
for kind, values in right.items():
    print(f"{kind:9} {np.mean(values):.1%} right on test images; seeds: {', '.join(f'{v:.1%}' for v in values)}")
apart = min(right["separable"]) > max(right["full"]) or min(right["full"]) > max(right["separable"])
print("The seeds do not overlap." if apart else "The seeds overlap: this small experiment names no winner.")

# %% [markdown]
# Three seeds, a short training and 1000 test images: read the ranges, not the last digit. With so few channels the separable net cannot win much, since its saving grows with $C$ (section 3), and the first layer costs both the same. The savings of MobileNet come with hundreds of channels.
#
# ## Exercises


# %%
def depthwise_conv2d(x, w, b, stride, padding):
    raise NotImplementedError  # your code


check(depthwise_conv2d, "depthwise_conv2d")


# %%
def conv2d_groups(x, w, b, stride, padding, groups):
    raise NotImplementedError  # your code


check(conv2d_groups, "conv2d_groups")

# %% [markdown]
# More of this kind: `minicnn exercise new conv2d_product` (a 1x1 convolution is one matrix product). For paper and pencil: `minicnn exercise quiz costs`, `minicnn exercise quiz nets`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `nn.Conv2d(64, 64, 3, groups=64)` | the same: `torch.nn.Conv2d` |
# | `F.channel_shuffle(x, 2)` | `torch.nn.functional.channel_shuffle`, or `torch.nn.ChannelShuffle(2)` |
# | `nn.SqueezeExcitation(256, 16)` | `torchvision.ops.SqueezeExcitation(256, 16)` |
# | `models.mobilenet_v2()`, `squeezenet1_0`, `shufflenet_v2_x1_0`, `efficientnet_b0` | the same names in `torchvision.models` |
# | `models.mobilenet_v1()`, `xception`, `shufflenet_v1_g3`, `se_resnet50` | not in torchvision |
# | `minicnn.summary(net, size).total_macs` | `torch.utils.flop_counter.FlopCounterMode`, of a run, which may be on device meta: FLOPs of each module, 2 for a MAC |
# | `comparisons.separable()`, `compound_scaling` | nothing |
# | `bench.timing.best_times` | `torch.utils.benchmark.Timer` |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How many weights has a separable 3x3 convolution from 512 channels to 512, without biases?",
        266_752,
        weights(512, 3)[1],
        "9 * 512 and 512 * 512",
    ),
    (
        "A net gets twice the width and 1.5 times the resolution. By which factor do its MACs grow?",
        9,
        stack(4, 32, 42) / base,
        "2² * 1.5²",
    ),
    (
        "A depthwise layer has a small share of the MACs of a full one, but takes a larger share of the time. Why?",
        "It does few multiplications for each number that it loads and stores, so loading and storing set its speed.",
    ),
)
