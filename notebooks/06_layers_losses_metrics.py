# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 06 Layers, losses and metrics
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/06_layers_losses_metrics.ipynb)
#
# **After this notebook you can**
#
# - say why deep nets use ReLU and not the sigmoid, with measured gradients,
# - pool, normalise and drop out by hand, in training and in evaluation,
# - turn scores into probabilities, a loss, and an accuracy, and say which of them can be trained,
# - count what a layer costs, and say what kind of function it is.
#
# **It builds on** notebook 05: every operation has a way back for gradients. It takes about twenty seconds of computing, and an hour of thinking.

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
from minicnn import explain, nn, train, visualize
from minicnn.analysis import comparisons, properties, property_table
from minicnn.exercises import check, lesson
from minicnn.nn import functional as F
from minicnn.utils.data import DataLoader

minicnn.set_num_threads(1)  # all is small here: two threads would mostly wait for each other

# %% [markdown]
# ## 1. Activation functions
#
# Between two linear layers stands an *activation function*: it changes each number by itself, and it is not linear. Without it, both layers together would be one linear layer. Classical ones are the sigmoid $\sigma(x) = 1/(1 + e^{-x})$, $\tanh x$, and $\text{ReLU}(x) = \max(0, x)$.
#
# **Predict.** Between which numbers lie their values? And where is the slope of the sigmoid largest, and how large is it there?

# %%
visualize.activation_functions(("sigmoid", "tanh", "relu", "leaky_relu"))

# %%
ends = minicnn.tensor([-1000.0, 1000.0])
sigmoid, tanh = explain.activation_curve("sigmoid"), explain.activation_curve("tanh")
print(f"steepest slope of the sigmoid {sigmoid.slope.max():.4f}, of tanh {tanh.slope.max():.4f}")
lesson.compare(
    ("range of the sigmoid", (0, 1), F.sigmoid(ends)),
    ("range of tanh", (-1, 1), F.tanh(ends)),
    ("least value of ReLU", 0, F.relu(ends).min()),
    ("is the largest value of ReLU bounded?", False, bool(F.relu(ends).max() < 1000)),
)

# %% [markdown]
# The blue line is the function, the dashed one its slope. Above each picture are the values for inputs from -5 to 5, and their mean for normally distributed inputs. The sigmoid has three problems.
#
# ### First problem: it saturates
#
# On the grey parts the slope is nearly 0, and on the way back each gradient is multiplied by the slope. Even in the middle it is 1/4 at most.
#
# **Predict.** Ten layers with sigmoids, one behind the other. What is the largest factor that ten slopes can give? The same for ReLU?


# %%
def deep(activation, layers=10, width=64):
    """A net with the same start in all cases, but for the activation."""
    minicnn.manual_seed(0)
    parts = []
    for _ in range(layers):
        parts += [nn.Linear(width, width), activation()]
        nn.init.kaiming_normal_(parts[-2].weight)
    return nn.Sequential(*parts, nn.Linear(width, 10))


print(f"at most 0.25 ** 10 = {0.25**10:.1e} for sigmoids, and 1 for ReLU")
images, labels = minicnn.randn(100, 64), minicnn.randint(0, 10, (100,))
flows = {name: explain.gradient_flow(deep(getattr(nn, name)), images, labels) for name in ("Sigmoid", "Tanh", "ReLU")}
for name, rows in flows.items():
    linear = [row.weight.mean for row in rows if row.weight is not None]
    print(f"{name:8} mean |gradient| of the weights: last layer {linear[-1]:.0e}, first layer {linear[0]:.0e}")

# %%
visualize.flow(flows["Sigmoid"])

# %% [markdown]
# From the bottom of the picture to its top, the gradient falls at each sigmoid. The weights between them multiply it as well, but they do not make up for the slopes. So the first layers hardly learn: this is the *vanishing gradient*.
#
# ### Second problem: it is not zero-centred
#
# All outputs of a sigmoid are positive. The gradient of a weight is the input times what comes back: $g_{w_i} = x_i\, g_y$. **Predict.** What does this say of the signs of the gradients of all weights of one neuron, for one image?

# %%
x = minicnn.randn(1, 64)
for name in ("sigmoid", "tanh"):
    neuron = nn.Linear(64, 1)
    neuron(getattr(F, name)(x)).sum().backward()
    print(f"{name:8} {float((neuron.weight.grad > 0).float().mean()):.0%} of the gradients are positive")

# %% [markdown]
# All have one sign: in one step all weights grow, or all shrink. A direction in which some grow and some shrink needs a zigzag of steps. tanh does not have this problem, ReLU has it.
#
# ### Third problem: $e^x$ takes time
#
# ReLU is a comparison, the sigmoid needs an exponential function. Compared with the convolution before it, this matters little today.
#
# ### And ReLU? It may die
#
# The slope of ReLU is 0 for negative numbers. A unit that is negative for *all* images gets no gradient any more, so its weights stay as they are: it is dead. **Predict.** We move the biases of half of the units far down, as one step with a large learning rate may do. Which gradients do their weights get with ReLU? With leaky ReLU, which has the slope 0.01 there?

# %%
for activation in (nn.ReLU(), nn.LeakyReLU()):
    minicnn.manual_seed(0)
    layer = nn.Linear(64, 32)
    with minicnn.no_grad():
        layer.bias[:16] -= 10
    (activation(layer(images)) ** 2).mean().backward()
    size = layer.weight.grad.abs().mean(1)  # (32, 64) -> (32,)
    dead = explain.activation_statistics(nn.Sequential(layer, activation), images)[-1].dead
    print(f"{activation}: {dead:.0%} of the units are 0 for all images;", end=" ")
    print(
        f"mean |gradient|: the half moved down {float(size[:16].mean()):.1e}, the others {float(size[16:].mean()):.1e}"
    )

# %% [markdown]
# ## 2. Pooling
#
# Pooling makes a map smaller: each window gives one number, its maximum or its mean. It has no parameters, and each channel is pooled by itself.
#
# **Predict.** Windows of 2x2 with stride 2 over this map: what does max pooling give? What does average pooling give?

# %%
pooled = minicnn.tensor([[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]).reshape(1, 1, 4, 4)
print(pooled[0, 0])

# %%
visualize.window(explain.explain(nn.MaxPool2d(2), pooled, cell=(0, 0, 0, 1)))


# %%
def output(layer, *size):
    """The shape of the output for one image, without computing anything."""
    return tuple(layer(minicnn.empty(1, *size, device="meta")).shape[1:])


print("average:", F.avg_pool2d(pooled, 2)[0, 0].tolist())
lesson.compare(
    ("max pooling 2x2 of the 4x4 map", ((6, 8), (3, 4)), F.max_pool2d(pooled, 2)[0, 0]),
    ("64 maps of 224x224, pooled by 2x2", (64, 112, 112), output(nn.MaxPool2d(2), 64, 224, 224)),
    ("overlapping 3x3 windows with stride 2, over 55x55", (96, 27, 27), output(nn.MaxPool2d(3, 2), 96, 55, 55)),
    ("parameters", 0, sum(p.numel() for p in nn.MaxPool2d(2).parameters())),
)

# %% [markdown]
# On the way back, max pooling sends the gradient to the place of the maximum, and average pooling divides it among all. That is one question that `explain` answers: what arrives at the pixel (1, 3), the 8?

# %%
explain.explain(nn.MaxPool2d(2), pooled, grad_cell=(0, 0, 1, 3))

# %% [markdown]
# ## 3. From scores to probabilities
#
# The last layer of a classifier gives a score for each class, any numbers. The *softmax* makes probabilities of them. With a *temperature* $\tau$:
#
# $$p_i = \frac{e^{o_i/\tau}}{\sum_j e^{o_j/\tau}}$$
#
# **Predict.** The scores are 11.5, 12.8 and -2.4. Roughly, what are the three percentages? What happens for a small $\tau$, and for a large one?

# %%
scores = minicnn.tensor([11.5, 12.8, -2.4], dtype=minicnn.float64)
for tau in (0.1, 1, 3, 10, 100):
    print(f"temperature {tau:5}:", "  ".join(f"{100 * p:6.2f} %" for p in F.temperature_softmax(scores, tau).tolist()))
lesson.compare(
    ("softmax of the three scores, in percent", (21.42, 78.58, 0.0), 100 * F.softmax(scores, 0)), tolerance=0.005
)

# %% [markdown]
# A low temperature gives all to the largest score (*arg max*), a high one the same to all. Only *differences* of scores count: adding 1000 to all changes nothing. This is also how it is computed without overflow: subtract the largest score first. The temperature may be learned, too: `nn.TemperatureSoftmax(learnable=True)`.
#
# ## 4. The loss
#
# The **cross-entropy** of an image is $-\log p$ of its true class. The **accuracy** is the share of images whose true class has the largest score.
#
# **Predict.** A net that knows nothing gives each of ten classes 10 %. What is its loss? What is the loss if it gives the true class 50 %, and 1 %?

# %%
for p in (0.1, 0.5, 0.01):
    others = (1 - p) / 9
    one = minicnn.tensor([[p] + [others] * 9], dtype=minicnn.float64).log()
    print(f"p = {p:4}: cross-entropy {F.cross_entropy(one, minicnn.tensor([0])).item():.3f}")

# %% [markdown]
# What we want is accuracy. Why not train for it? To see this, we train a linear classifier on digits a little, then move *one* of its weights, and watch both on 30 images.

# %%
digits = lesson.images("digits")
minicnn.manual_seed(0)
pixels, targets = next(iter(DataLoader(digits.train, batch_size=300)))
classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
optimizer = minicnn.optim.SGD(classifier.parameters(), lr=0.5)
for _ in range(30):
    optimizer.zero_grad()
    F.cross_entropy(classifier(pixels), targets).backward()
    optimizer.step()
weight = classifier[1].weight
ways, found = np.linspace(-3, 3, 601), []
with minicnn.no_grad():
    start = float(weight[8, 28])
    for value in ways:
        weight[8, 28] = start + float(value)
        said = classifier(pixels[:30])
        found.append((train.accuracy(said, targets[:30])[0], F.cross_entropy(said, targets[:30]).item()))
    weight[8, 28] = start

# %% [markdown]
# **Predict.** Which of the two is a smooth curve, and which one has steps? What is the slope of the curve with steps?

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for axis, values, title in zip(axes, zip(*found, strict=True), ("accuracy", "cross-entropy"), strict=True):
    axis.plot(ways, values)
    axis.set_title(title)
    axis.set_xlabel("change of one weight")
plt.close(figure)  # shown once, as the value of this cell
figure

# %%
accuracies = np.array(found)[:, 0]
flat = float((np.diff(accuracies) == 0).mean())
print(
    f"{len(np.unique(accuracies))} different accuracies at {len(ways)} weights; between neighbours, {flat:.0%} stay equal"
)

# %% [markdown]
# The accuracy is flat with jumps: its slope is 0 nearly everywhere, so its gradient says nothing. The cross-entropy is smooth, and its slope says in which direction to move the weight. So we minimise the cross-entropy, and *look* at the accuracy. (A slide prints as the aim of training "min" of the mean accuracy: a slip, it is to be maximised. That of the cross-entropy is minimised.)
#
# ### Label smoothing
#
# The cross-entropy is never 0: scores grow for ever, as a little more of $p$ is always better. Label smoothing asks for 91 % in place of 100 %: of the 100 %, one tenth is spread over all ten classes.
#
# **Predict.** The score of the true class grows, all others stay 0. What happens to the two losses?

# %%
grow = minicnn.tensor([[s] + [0.0] * 9 for s in range(0, 13)], dtype=minicnn.float64)  # (13, 10)
truth = minicnn.zeros(13, dtype=minicnn.int64)
plain, smooth = (F.cross_entropy(grow, truth, reduction="none", label_smoothing=s) for s in (0.0, 0.1))
for score in range(0, 13, 2):
    print(f"score {score:2}: plain {plain[score].item():.3f}   smoothed {smooth[score].item():.3f}")
best = np.log(0.91 / 0.01)
print(f"The smoothed loss is least where p = 91 %: at the score log(0.91 / 0.01) = {best:.2f}")

# %% [markdown]
# ## 5. Top-1 and top-5
#
# With a thousand classes, the first guess may be wrong and still sensible. *Top-5* counts an image as right if its class is among the five best scores. An exercise of a slide:
#
# **Predict.** What are the top-1 and the top-5 accuracy of these five images?

# %%
names = ("Apple", "Bike", "Car", "Cat", "Dog", "Pear", "Plane")
five = minicnn.tensor(
    [
        [15, 10, 2, 5, 20, 8, 1],
        [2, 5, 10, 8, 4, 12, 3],
        [12, 2, 1, 6, 4, 5, 9],
        [1, 2, 3, 4, 5, 6, 7],
        [7, 6, 5, 4, 3, 2, 1],
    ]
)
true = minicnn.tensor([0, 2, 2, 6, 1])
print("true  ", *(f"{name:>6}" for name in names))
for row, target in zip(five.tolist(), true.tolist(), strict=True):
    print(f"{names[target]:6}", *(f"{value:6}" for value in row))

# %%
top1, top5 = (round(100 * share) for share in train.accuracy(five, true, (1, 5)))
for k in (1, 5):
    right = [t in row for row, t in zip(five.topk(k, dim=1).indices.tolist(), true.tolist(), strict=True)]
    print(f"top-{k}:", *("right" if one else "wrong" for one in right))
lesson.compare(("top-1 in percent", 20, top1), ("top-5 in percent", 80, top5), column="by hand")

# %% [markdown]
# With five classes, top-5 says nothing: it is always 100 %.
#
# ## 6. Layers that train and evaluate in two ways
#
# **Batch normalisation** subtracts from each channel its mean, and divides by its standard deviation. In training these are those of the *batch*: over all its images and all places. In evaluation they are running means that it has collected before. Then follow a scale and a shift that are learned.
#
# **Predict.** The input below has the mean 5 and the standard deviation 3. What are mean and deviation of the output in training? And in evaluation, if the layer has seen one batch only? (Each batch moves the running mean by a tenth of the way; it starts at 0, the variance at 1.)

# %%
minicnn.manual_seed(0)
norm, maps = nn.BatchNorm2d(64), 5 + 3 * minicnn.randn(16, 64, 8, 8)
one_way = norm(maps)
norm.eval()
other_way = norm(maps)
print(f"training:   mean {one_way.mean().item():z.2f}, deviation {one_way.std().item():.2f}")
print(f"running:    mean {norm.running_mean.mean().item():.2f}, variance {norm.running_var.mean().item():.2f}")
print(f"evaluation: mean {other_way.mean().item():.2f}, deviation {other_way.std().item():.2f}")
print("parameters:", sum(p.numel() for p in norm.parameters()))

# %% [markdown]
# Both are right. But after one batch the running values are not yet those of the data: $5 / 10 = 0.5$, and $0.9 \cdot 1 + 0.1 \cdot 9 = 1.8$. After forty batches they are: each leaves nine tenths of the distance, and $0.9^{40} = 0.015$. If you forget `model.eval()`, the answer for an image depends on the other images in its batch:

# %%
for mode in (True, False):
    norm.train(mode)
    alone, together = norm(maps[:1]), norm(maps)[:1]
    print(
        "training:  " if mode else "evaluation:", "one image alone gives the same:", minicnn.allclose(alone, together)
    )

# %% [markdown]
# **Dropout** sets each number to 0 with the probability $p$, in training only. **Predict.** What must be done with the numbers that stay, so that the next layer gets the same on average as in evaluation, where nothing is dropped?

# %%
minicnn.manual_seed(0)
drop, ones = nn.Dropout(0.5), minicnn.ones(10_000)
print("training:  ", drop(ones)[:12].tolist(), f"... mean {drop(ones).mean().item():.2f}")
drop.eval()
print("evaluation:", drop(ones)[:12].tolist())

# %% [markdown]
# They are divided by $1 - p$ (*inverted dropout*). So evaluation needs no correction.
#
# ## 7. What a layer costs
#
# A MAC is one multiplication and one addition: 2 FLOPs. Adding the bias is 1 more. (This is a convention. Other people count MACs and say FLOPs: notebook 08.)
#
# **Predict.** A neuron with 3 inputs: how many parameters, how many FLOPs? An image of 28x28 with one channel goes into 256 fully connected neurons, into 256 filters of 3x3, or into max pooling 2x2. Which has most parameters, which most FLOPs, which needs most memory for its output?

# %%
neuron = comparisons.compare("A neuron", (3,), {"neuron": lambda: nn.Linear(3, 1)})
makers = {
    "256 neurons": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 256)),
    "256 filters 3x3": lambda: nn.Conv2d(1, 256, 3),
    "max pooling 2x2": lambda: nn.MaxPool2d(2),
}
three = comparisons.compare("An image of 1x28x28", (1, 28, 28), makers)
print(three)

# %%
(_, *dense), (_, *conv), (_, *pool) = three.rows  # parameters, MACs, FLOPs, output, bytes
lesson.compare(
    ("a neuron of 3 inputs: parameters, FLOPs, bytes", (4, 7, 4), tuple(neuron.rows[0][i] for i in (1, 3, 5))),
    ("256 neurons: parameters", 200_960, dense[0]),
    ("256 neurons: FLOPs", 401_664, dense[2]),
    ("256 neurons: bytes of the output", 1_024, dense[4]),
    ("256 filters: parameters", 2_560, conv[0]),
    ("256 filters: FLOPs", 3_288_064, conv[2]),
    ("256 filters: output", (256, 26, 26), conv[3]),
    ("256 filters: bytes of the output", 692_224, conv[4]),
    ("max pooling: parameters", 0, pool[0]),
    ("max pooling: comparisons", 588, pool[2]),
    ("max pooling: output and its bytes", (1, 14, 14, 784), (*pool[3], pool[4])),
    column="by hand",
)

# %% [markdown]
# The convolution has 78 times fewer parameters, and 8 times more FLOPs: each filter is used at 676 places.
#
# ## 8. What kind of function a layer is
#
# Four questions for a layer. Has it parameters? If the image moves, does its output move with it (*equivariant*), stay (*invariant*), or neither? Is it bound to one size of input? Does an output see all of the input?
#
# **Predict.** Make the table for a convolution, a fully connected layer, pooling, batch norm, ReLU, dropout, global average pooling and softmax.

# %%
layers = [nn.Conv2d(3, 4, 3), nn.Linear(12, 4), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout()]
print(property_table([*layers, nn.AdaptiveAvgPool2d(1), nn.Softmax(1)]))

# %%
kinds = {type(layer).__name__: properties(layer) for layer in [*layers, nn.Softmax(1)]}
lesson.compare(
    (
        "layers with parameters",
        ("BatchNorm2d", "Conv2d", "Linear"),
        sorted(name for name, kind in kinds.items() if kind.parametric),
    ),
    ("fully connected: shift, one size, sees all", ("neither", True, True), kinds["Linear"][2:]),
    ("convolution: shift, one size, sees all", ("equivariant", False, False), kinds["Conv2d"][2:]),
    column="by hand",
)

# %% [markdown]
# Batch norm and dropout are taken as in evaluation; this softmax works at each pixel, over its channels. Equivariance is exact only up to the border and the stride. We can measure it: move the image by some pixels, and compare the middle of the maps.

# %%
picture = minicnn.tensor(np.asarray(explain.sample_image(), np.float32).transpose(2, 0, 1)[None])  # (1, 3, H, W)
for pixels_moved in (1, 2):
    moved = minicnn.roll(picture, pixels_moved, 3)
    for name, layer, stride in (
        ("convolution", nn.Conv2d(3, 4, 3, padding=1), 1),
        ("max pooling 2x2", nn.MaxPool2d(2), 2),
    ):
        step = pixels_moved // stride
        before, after = minicnn.roll(layer(picture), step, 3), layer(moved)
        same = minicnn.allclose(before[..., 4:-4], after[..., 4:-4], atol=1e-6)
        print(f"moved by {pixels_moved}: {name:16} moves with the image: {same}")

# %% [markdown]
# Pooling with stride 2 moves with the image only if that moves by an even number of pixels.
#
# ## Exercises


# %%
def softmax_forward(x):
    raise NotImplementedError  # your code


check(softmax_forward, "softmax_forward")


# %%
def dropout(x, gy, u, p, training):
    raise NotImplementedError  # your code


check(dropout, "dropout")

# %% [markdown]
# More of this kind: `minicnn exercise new cross_entropy_forward`, `cross_entropy_backward`, `max_pool2d_forward`, `relu_backward`, and, for those who have time, `batch_norm_backward`. For paper and pencil: `minicnn exercise quiz metrics`, `minicnn exercise quiz costs` and `minicnn exercise quiz layers`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `nn.Sigmoid`, `nn.Tanh`, `nn.ReLU`, `nn.LeakyReLU`, `nn.MaxPool2d`, `nn.AvgPool2d`, `nn.BatchNorm2d`, `nn.Dropout` | the same names in `torch.nn` |
# | `F.temperature_softmax(scores, tau)` | `F.softmax(scores / tau, dim=-1)`; there is no function with a temperature |
# | `F.cross_entropy(scores, targets, label_smoothing=0.1)` | the same; it takes scores, not probabilities |
# | `model.train()`, `model.eval()` | the same |
# | `minicnn.train.accuracy(scores, targets, (1, 5))` | nothing in `torch`; `torchmetrics` is a package of its own |
# | `comparisons.compare`, `property_table`, `explain.gradient_flow` | nothing |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "A net that knows nothing chooses among 1,000 classes. What is its cross-entropy, to two decimals?",
        6.91,
        round(F.cross_entropy(minicnn.zeros(1, 1000), minicnn.tensor([0])).item(), 2),
        "log 1000",
    ),
    (
        "How many parameters has batch norm for 64 channels?",
        128,
        sum(p.numel() for p in norm.parameters()),
        "a scale and a shift for each channel; the running values are not trained",
    ),
    (
        "Why is the accuracy not the loss?",
        "It changes in jumps, and does not change in between: its gradient is 0 nearly everywhere.",
    ),
)
