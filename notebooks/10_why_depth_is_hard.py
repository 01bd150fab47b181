# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 10 Why depth is hard
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/10_why_depth_is_hard.ipynb)
#
# **After this notebook you can**
#
# - say why gradients vanish or explode in deep nets, and measure it layer by layer,
# - choose start values for an activation: LeCun, Xavier, He,
# - say what batch norm and shortcuts do for the gradients,
# - show that a deeper plain net is worse on its own training images, and that a residual one is not,
# - see a residual net as many shallow nets together.
#
# **It builds on** notebook 09: the nets up to 22 layers; and on the chain rule. It computes for about a minute, and takes an hour.

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
from minicnn.models.resnet import BasicBlock
from minicnn.models.resnet_cifar import PlainBlock
from minicnn.models.start_values import he_normal
from minicnn.train import find_recipe, spread, train_with_seeds
from minicnn.utils.data import DataLoader, Subset, TensorDataset

minicnn.set_num_threads(1)  # the nets are small: two threads would mostly wait for each other

# %% [markdown]
# ## 1. A product of many factors
#
# The gradient reaches the first layer through all others. The chain rule multiplies: for each layer the slope of its activation, and its weights.
#
# **Predict.** The slope of the sigmoid is at most 1/4. What is at most left of a gradient after 20 sigmoids, if the weights change nothing? And with tanh, whose slope is at most 1?

# %%
steep = {name: float(abs(explain.activation_curve(name).slope).max()) for name in ("sigmoid", "tanh", "relu")}
for name, slope in steep.items():
    print(f"{name}: slope at most {slope:.3f}; after 20 layers at most {slope**20:.1e}")

# %% [markdown]
# That is the best case, in the steepest place. Now we measure a real net: 20 convolutions of 3x3 with 16 channels, on 16x16 pixels. One step, forward and backward; then the mean absolute gradient of each layer's weights.

# %%
pictures = lesson.images("cifar10", side=16, normalize=True)
print(pictures)


def part(dataset, count):
    """The first images of a dataset, in memory."""
    some = Subset(dataset, range(min(count, len(dataset))))
    return TensorDataset(*next(iter(DataLoader(some, len(some)))))


train_set, test_set = part(pictures.train, 800), part(pictures.test, 200)
batch = train_set[:32]


# %%
def deep(activation, start=None, norm=False, layers=20):
    """A plain net; `start` draws the weights of a convolution."""
    minicnn.manual_seed(0)
    net, channels = nn.Sequential(), 3
    for _ in range(layers):
        conv = nn.Conv2d(channels, 16, 3, padding=1)
        if start is not None:
            start(conv.weight)
        net.extend([conv, *([nn.BatchNorm2d(16)] if norm else []), activation()])
        channels = 16
    return net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)])


def gradients(net):
    rows = explain.gradient_flow(net, *batch, training=True)
    return [row for row in rows if row.kind in ("Conv2d", "Linear")]


# %% [markdown]
# **Predict.** Three curves, from the first layer at the left to the last at the right: sigmoid, tanh, ReLU. Which ones fall towards the left, and by how much?

# %%
kinds = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}
visualize.flows({name: gradients(deep(kind)) for name, kind in kinds.items()}, title="PyTorch's start values, no norm")

# %% [markdown]
# The axis is logarithmic: a straight line means that every layer multiplies by the same factor. With a sigmoid the first layers get nothing: they do not learn. But tanh and ReLU fall as well here. Their slopes are not to blame; the *weights* are too small.
#
# ## 2. Start values
#
# A unit adds up $n$ products. If the weights have the variance $\sigma^2$, the variance of the sum is $n\,\sigma^2$ times the mean square of the inputs. To keep it, $n\,\sigma^2$ must be 1. The fan $n$ is $C \cdot K_H \cdot K_W$ for the signal (*fan in*), and $O \cdot K_H \cdot K_W$ for the gradient (*fan out*):
#
# | | variance of the weights | for |
# |---|---|---|
# | LeCun | $1/\text{fan in}$ | tanh |
# | Xavier (Glorot) | $2/(\text{fan in} + \text{fan out})$ | tanh: signal and gradient |
# | He (Kaiming) | $2/\text{fan in}$ | ReLU, which sets half of the signal to 0 |
#
# **Predict.** 16 channels in, 16 out, 3x3. Which two of the three are the same here? What happens to a ReLU net that starts with LeCun's values, over 20 layers?

# %%
starts = {
    "PyTorch's own": None,
    "LeCun": lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"),
    "Xavier": nn.init.xavier_normal_,
    "He": nn.init.kaiming_normal_,  # the gain of ReLU is sqrt(2)
    "twice He": lambda w: nn.init.normal_(w, 0, 2 * (2 / w[0].numel()) ** 0.5),
}
with minicnn.no_grad():
    print("variance * fan in:")
    for name, start in starts.items():
        conv = nn.Conv2d(256, 256, 3)
        if start is not None:
            start(conv.weight)
        print(f"{name:14} {float(conv.weight.var()) * conv.weight[0].numel():.3f}")

# %%
rows = []
for name, start in starts.items():
    for kind in ("tanh", "ReLU"):
        found = explain.activation_statistics(deep(kinds[kind], start), batch[0])
        after = [row for row in found if row.kind in ("Tanh", "ReLU")]
        rows.append([f"{name}, {kind}", *(f"{after[i - 1].std:.2g}" for i in (1, 10, 20)), after[-1].saturated])
print(Table("Deviation of the activations", ["", "layer 1", "layer 10", "layer 20", "saturated in 20"], rows))

# %% [markdown]
# With He's values, the deviation keeps its order of magnitude over 20 layers. With smaller ones the signal fades; with larger ones it explodes with ReLU, and saturates tanh. The gradients of the ReLU net tell the same:

# %%
visualize.flows({name: gradients(deep(nn.ReLU, start)) for name, start in starts.items()}, title="ReLU, 20 layers")

# %% [markdown]
# And as histograms: the activations of the tanh net with weights that are too large. They crowd at -1 and 1, where tanh is flat.

# %%
found = explain.activation_statistics(deep(nn.Tanh, starts["twice He"]), batch[0])
visualize.activations([row for row in found if row.kind == "Tanh"][::5])

# %% [markdown]
# One slide calls the start of ResNet "Xavier, from He et al.". These are two papers: Xavier is the first name of X. Glorot, 2010; K. He's rule of 2015 has the factor 2 for ReLU.
#
# ## 3. Batch norm: measure, instead of hoping
#
# Batch norm divides each channel by its deviation in the batch, after every convolution, in every step. For the outputs, the scale of the weights then does not matter.
#
# **Predict.** The same five start values, with batch norm after each convolution: how far apart are the curves?

# %%
visualize.flows(
    {name: gradients(deep(nn.ReLU, start, norm=True)) for name, start in starts.items()},
    title="ReLU with batch norm, 20 layers",
)

# %% [markdown]
# All curves have nearly the same shape now. They still lie apart, as a weight twice as large gets half the gradient: its output is divided by the deviation. Towards the first layer they rise somewhat, within one or two orders of magnitude. Compare that with the first picture.
#
# ## 4. The shortcut
#
# $$y = x + f(x) \qquad\Rightarrow\qquad \frac{dy}{dx} = 1 + f'(x)$$
#
# However small $f'$ is, the 1 stays. **Predict.** $f(x) = 0.1\tanh(x)$, 20 times, from $x = 0.5$. What is the derivative, roughly, without shortcuts, and with them?


# %%
def f(x):
    return 0.1 * minicnn.tanh(x)


for name, step in (("plain", f), ("residual", lambda x: x + f(x))):
    x = minicnn.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(20):
        y = step(y)
    y.backward()
    print(f"{name}: derivative after 20 steps {float(x.grad):.2e}")

# %% [markdown]
# The same in a net: blocks of two convolutions with batch norm, with a shortcut around each (`BasicBlock`) or without (`PlainBlock`). Here is the residual one; the circle adds.

# %%
with minicnn.device("meta"):
    block = BasicBlock(16, 16)
visualize.diagram(block, (16, 8, 8))


# %%
def net_of(block, count):
    """A net of 2 * count + 2 layers: a convolution, blocks of two, a linear layer."""
    stem = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]  # 3x16x16 -> 16x8x8
    net = nn.Sequential(
        nn.Sequential(*stem), nn.Sequential(*(block(16, 16) for _ in range(count))),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    he_normal(net)
    return net


minicnn.manual_seed(0)
for name, block, count in (("plain", PlainBlock, 11), ("residual", BasicBlock, 11), ("plain", PlainBlock, 3)):
    found = [row.weight.mean for row in gradients(net_of(block, count))]
    print(f"{name}, {2 * count + 2} layers: mean |gradient| from {min(found):.1e} to {max(found):.1e}")

# %% [markdown]
# With batch norm, no gradient vanishes, not even in the plain net of 24 layers. So is depth solved? No.
#
# ## 5. Degradation
#
# **A deeper net can compute all that a shallower one can.** A 3x3 kernel with a 1 in the middle is the identity. Put such layers into a net, and it computes the same as before.

# %%
identity = nn.Conv2d(16, 16, 3, padding=1, bias=False)
nn.init.dirac_(identity.weight)
print(identity.weight[0, 0].detach())
shallow = deep(nn.ReLU, starts["He"], layers=4)
deeper = nn.Sequential(*shallow[:8], identity, nn.ReLU(), identity, nn.ReLU(), *shallow[8:])
print(
    "four layers, and two identities more, give the same:",
    minicnn.allclose(shallow(batch[0]), deeper(batch[0]), atol=1e-5),
)

# %% [markdown]
# So the training loss of a deeper net *should* be at most that of a shallow one. **Predict.** Does it? We train plain nets of 8 and of 24 layers, and then residual ones: the same 800 images, the same recipe, two seeds. Look at the *training* loss: this is not overfitting.

# %%
EPOCHS, SEEDS, results = 5, (0, 1), {}


def race(name, block, count):
    results[name] = train_with_seeds(
        lambda: net_of(block, count), lambda net: optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4),
        train_set, test_set, EPOCHS, seeds=SEEDS, batch_size=50,
        make_scheduler=lambda sgd, steps: optim.lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=steps, pct_start=0.2),
    )  # fmt: skip
    print(f"{name}: training loss {spread(results[name].last('train_loss'), 3)}")


race("plain, 8 layers", PlainBlock, 3)
race("residual, 8 layers", BasicBlock, 3)

# %%
race("plain, 24 layers", PlainBlock, 11)

# %%
race("residual, 24 layers", BasicBlock, 11)

# %%
visualize.trials(results, ("train_loss", "train_top1"), title="Two depths, without shortcuts and with them")

# %%
for kind in ("plain", "residual"):
    shallow, deeper = (results[f"{kind}, {depth} layers"].last("train_loss") for depth in (8, 24))
    change = sum(deeper) / len(deeper) - sum(shallow) / len(shallow)
    print(f"{kind}: 16 layers more change the training loss by {change:+.3f}")

# %% [markdown]
# The lines above say what came out here, with few images and two seeds. The experiment with more images, nets of 20 and 56 layers and three seeds is on the page [Training](../docs/training.md): without shortcuts the training loss rises from 1.07 to 1.83 with the depth; with them the two depths end close together. The paper measured it first, on CIFAR-10 with 20 and 56 layers.
#
# A residual block need not learn the identity: if its weights are 0, it *is* the identity (its input is not negative, since it comes from a ReLU). It learns the difference $F(x) = H(x) - x$ to what is wanted.

# %%
block = BasicBlock(16, 16)
for parameter in block.parameters():
    nn.init.zeros_(parameter)
x = minicnn.rand(1, 16, 8, 8)
print("a residual block of zeros is the identity:", minicnn.equal(block(x), x))

# %% [markdown]
# ## 6. Many paths
#
# Written out, two blocks are $y = x + F_1(x) + F_2(x + F_1(x))$. The signal goes through each block or around it: $2^r$ paths through $r$ blocks. Most of them are about half as long as the net.
#
# **Predict.** 11 blocks: how many paths? What is left of the trained net's accuracy if one block is left out? And of the plain net's?

# %%
residual, plain = (results[f"{kind}, 24 layers"].models[0] for kind in ("residual", "plain"))
left = explain.drop_blocks(residual, test_set, counts=(2, 4, 8))
print(f"2^11 = {2**11:,}; counted {left.paths:,} paths; by length: {left.lengths}")
visualize.dropped(left)

# %%
names = [f"1.{i}" for i in range(11)]
gone = explain.drop_blocks(plain, test_set, names)
for name, one in (("residual", left), ("plain", gone)):
    without = sorted(row.accuracy for row in one.blocks)
    print(f"{name}: whole {one.accuracy:.1%}; without one block {without[0]:.1%} to {without[-1]:.1%}")

# %% [markdown]
# Compare the two lines with what guessing gives, 10 %. In the residual net a missing block takes away half of the paths. Without most of the blocks, the other half still works: the net behaves like an ensemble of shallower nets. Single blocks, often the first, matter more than the others: see the picture. (A plain net that hardly learned has little to lose, so look at its whole accuracy first.)
#
# ## 7. What slides say about ResNet
#
# **Predict.** ResNet-34 and ResNet-50 both have 16 blocks. Those of ResNet-34 are two convolutions of 3x3; those of ResNet-50 are 1x1, 3x3 and 1x1, with four times as many channels outside. By how much does it cost more?

# %%
with minicnn.device("meta"):
    nets = {
        name: models.get_model(name)
        for name in ("resnet18_a", "resnet34_a", "resnet50_v1", "resnet101_v1", "resnet152_v1")
    }
macs = {name: analysis.summary(net, (3, 224, 224), verbose=0).total_macs for name, net in nets.items()}
print(Table("ResNets of the paper", ["", "MACs", "parameters"],
            [[name, macs[name], sum(p.numel() for p in net.parameters())] for name, net in nets.items()]))  # fmt: skip

# %%
recipe = find_recipe("resnet20", "cifar10", "resnet-cifar")  # the paper's
with minicnn.device("meta"):
    deepest = models.resnet1202()
blocks = {n: [len(getattr(nets[f"resnet{n}"], f"layer{i}")) for i in (1, 2, 3, 4)] for n in ("50_v1", "152_v1")}
lesson.compare(
    ("blocks of ResNet-50 and of ResNet-152", ((3, 4, 6, 3), (3, 8, 36, 3)), list(blocks.values())),
    ("layers of the deepest net for CIFAR-10", 1202,
     sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in deepest.modules())),
    ("weight decay of ResNet", 1e-5, recipe.optimizer_options["weight_decay"], "the paper has 0.0001"),
    ("ResNet-18: convolutions", 17, sum(isinstance(m, nn.Conv2d) for m in nets["resnet18_a"].modules())),
)  # fmt: skip

# %% [markdown]
# The bottleneck is why ResNet-50 costs hardly more than ResNet-34: 1x1 down to a quarter of the channels, 3x3, and 1x1 up again.

# %%
print(comparisons.bottleneck())

# %% [markdown]
# Before ResNet there were **highway layers**: $y = T(x) \cdot H(x) + (1 - T(x)) \cdot x$, where the gate $T$ is learned. ResNet opened both ways for good. A gate has weights of its own:

# %%
highway = nn.Highway.linear(50)
lesson.compare(
    ("parameters of a highway layer of width 50", 2 * (50 * 50 + 50), sum(p.numel() for p in highway.parameters())),
    column="by hand",
)

# %% [markdown]
# ## Exercises
#
# The scale of first weights, by the rules of section 2. `minicnn exercise new initial_scale` has the full statement.


# %%
def initial_scale(shape, scheme):
    raise NotImplementedError  # your code: "xavier_normal", "xavier_uniform", "he_normal" or "he_uniform"


check(initial_scale, "initial_scale")

# %% [markdown]
# More of this kind: `minicnn exercise new batch_norm_forward`, then `batch_norm_backward` and `relu_backward`. For paper and pencil: `minicnn exercise quiz curves` and `minicnn exercise quiz nets`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `nn.init.kaiming_normal_(w)`, `nn.init.xavier_normal_(w)`, `nn.init.dirac_(w)` | `torch.nn.init.kaiming_normal_(w)` and so on |
# | LeCun's start values | `torch.nn.init.kaiming_normal_(w, nonlinearity="linear")`: gain 1 |
# | `nn.BatchNorm2d(16)` | `torch.nn.BatchNorm2d(16)` |
# | `models.resnet50()` | `torchvision.models.resnet50()`, with the stride in the 3x3 convolution; `resnet50_v1`, the paper's, is not there |
# | `BasicBlock` | `torchvision.models.resnet.BasicBlock` |
# | `models.resnet20()`, `models.plain20()`, `nn.Highway` | nothing |
# | `explain.gradient_flow`, `activation_statistics`, `drop_blocks` | nothing; with hooks: `register_forward_hook`, `register_full_backward_hook` |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How many paths has a residual net of 5 blocks, and how many of them go through exactly 2?",
        (32, 10),
        (2**5, explain.path_lengths(5)[2]),
        "2^5, and 5 choose 2",
    ),
    (
        "A 3x3 convolution of 64 channels with ReLU: which deviation should its weights have at the start?",
        "0.0589",
        (2 / (64 * 9)) ** 0.5,
        "He: the root of 2 / 576",
    ),
    (
        "Batch norm keeps gradients alive. Why are shortcuts needed as well?",
        "A deep plain net can compute what a shallow one can, but gradient descent does not find it: its training loss "
        "is higher. With a shortcut, a block does nothing if its weights are 0, and the gradient passes it.",
    ),
)
