# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 14 Transfer learning
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/14_transfer_learning.ipynb)
#
# **After this notebook you can**
#
# - use the features of a net for a task that it was not trained for,
# - freeze layers, put a new head on, and give each layer its own learning rate,
# - say which way fits how much data, and how similar it is, and measure it,
# - save and load weights without pickle.
#
# **It builds on** notebooks 07 (training) and 13 (linear probes). It computes for about a minute; read it in an hour.

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
import copy
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minicnn
from minicnn import explain, models, nn, optim, visualize
from minicnn.exercises import check, lesson
from minicnn.nn import functional as F
from minicnn.train import freeze, parameter_groups, replace_head
from minicnn.utils.data import DataLoader, Subset

minicnn.set_num_threads(1)  # the nets are small: two threads would mostly wait for each other

# %% [markdown]
# ## 1. One task with many images
#
# The first task: the digits 0 to 4, with all their images. The second task comes later: the digits 5 to 9, with few. Think of a million photographs from the web, and of fifty X-ray images from a hospital.


# %%
def tensors(part, count):
    """The first images of a dataset, (N, 1, 16, 16), and their classes, (N,)."""
    return next(iter(DataLoader(Subset(part, range(min(count, len(part)))), batch_size=count)))


minicnn.manual_seed(0)
data = lesson.images("mnist", side=16)
print(data)
images, classes = tensors(data.train, 6000)
test_images, test_classes = tensors(data.test, 1000)
low, test_low = classes < 5, test_classes < 5
first = images[low], classes[low]
first_test = test_images[test_low], test_classes[test_low]
second = images[~low], classes[~low] - 5
second_test = test_images[~test_low], test_classes[~test_low] - 5

# %% [markdown]
# The net has three *stages* and a *head*. A stage is a convolution with batch normalisation, ReLU and pooling.


# %%
def stage(channels, out):
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2))


def build():
    head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 2 * 2, 5))  # (N, 32, 2, 2) -> (N, 128) -> (N, 5)
    return nn.Sequential(stage(1, 8), stage(8, 16), stage(16, 32), head)


# %% [markdown]
# Two functions do the work. `fit` takes *groups* of parameters: what is in no group is not trained.

# %%
RATE = 0.002


def fit(model, x, y, groups, steps):
    """Train the parameters in `groups` on random batches."""
    optimizer = optim.Adam(groups, lr=RATE)
    model.train()
    for _ in range(steps):
        batch = minicnn.randint(len(x), (min(32, len(x)),))
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    return model


def accuracy(model, x, y):
    model.eval()
    with minicnn.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


# %%
base = build()
fit(base, *first, base.parameters(), steps=250)
print(f"digits 0 to 4: {accuracy(base, *first_test):.1%} right on test images")

# %% [markdown]
# ## 2. What do these features know of other digits?
#
# The net has never seen a 7. **Predict.** A linear classifier gets what a stage gives for 50 images of the digits 5 to 9. Will it be better than one on the pixels? Better than one on the features of a net with *random* weights? (Guessing gives 20 %.)

# %%
minicnn.manual_seed(1)
few = minicnn.randperm(len(second[0]))[:50]
some = second[0][few], second[1][few]
stages = ["0", "1", "2"]
trained_probes = explain.linear_probes(base, some, stages, test=second_test)
random_probes = explain.linear_probes(build(), some, stages, test=second_test)
print(f"{'':8} trained on 0 to 4    random weights")
for a, b in zip(trained_probes, random_probes, strict=True):
    print(f"{a.layer:8} {a.test:17.1%} {b.test:17.1%}")

# %% [markdown]
# Two things are seen here. Features of one task help in another: strokes and arcs are in all digits. And a net with random weights is far above guessing too: its maps are random mixtures of the pixels, in which the digit is still there. So compare with random weights, and with the pixels (`input`), before you praise a transfer.
#
# ## 3. Freeze all, and a new head
#
# The head of the old task has five outputs for 0 to 4. Take it off, put a new one on, and train only that: this is the linear classifier of section 2, trained by gradient descent.
#
# **Predict.** The head is a linear layer from 32 * 2 * 2 numbers to 5 classes. How many parameters are trained? How many are frozen?


# %%
def transfer(frozen):
    """The trained net with a new head and its first `frozen` stages frozen."""
    net = copy.deepcopy(base)
    replace_head(net, 5)  # finds the last linear layer, net[3][1]
    freeze(net, [str(k) for k in range(frozen)])
    return net


net = transfer(frozen=3)
fit(net, *some, net[3].parameters(), steps=50)
trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
frozen = sum(p.numel() for p in net.parameters() if not p.requires_grad)
print(f"{accuracy(net, *second_test):.1%} right on the digits 5 to 9, after 50 images")

# %%
same = all(
    minicnn.equal(a, b) for a, b in zip(net[:3].state_dict().values(), base[:3].state_dict().values(), strict=True)
)
print("the frozen stages are as before:", same)
lesson.compare(
    ("parameters that are trained", 32 * 2 * 2 * 5 + 5, trained),
    ("frozen: 3x3 filters, biases, and 2 numbers of batch norm a channel",
     sum(9 * c * o + 3 * o for c, o in ((1, 8), (8, 16), (16, 32))), frozen),
)  # fmt: skip

# %% [markdown]
# If this is less than the linear classifier on stage 2 above, the head is not trained to its end: 50 small steps are few.
#
# **A trap.** `requires_grad_(False)` stops the gradients. It does not stop batch normalisation: in training mode its running mean and variance follow the new images, and the frozen net is no longer the old one. So `freeze` also keeps frozen normalisations in evaluation mode. What happens without?

# %%
forgotten = transfer(frozen=0)
forgotten[:3].requires_grad_(False)
fit(forgotten, *some, forgotten[3].parameters(), steps=50)
changed = [
    name
    for (name, a), b in zip(forgotten[:3].state_dict().items(), base[:3].state_dict().values(), strict=True)
    if not minicnn.equal(a, b)
]
print("has changed although it is frozen:", sorted({name.split(".")[-1] for name in changed}))

# %% [markdown]
# ## 4. One learning rate for each layer
#
# With more images, more layers can be *fine-tuned*: trained further, from where they are. The head is new and needs the full rate. The other layers are good already and need small steps: a slide says 1/10 for the top layers and 1/100 for those in the middle. This is done with *parameter groups*.

# %%
net = transfer(frozen=0)
groups = parameter_groups(net, RATE, {"3": 1.0, "2": 0.1, "*": 0.01})  # the first pattern that fits counts
rates = [group["lr"] for group in optim.Adam(groups, lr=RATE).param_groups]
lesson.compare(("share of the full rate: middle, top, head", (0.01, 0.1, 1), np.array(rates) / RATE), tolerance=1e-12)

# %% [markdown]
# **Predict.** After 50 steps, how far has each stage moved, relative to the length of its weights: with one rate for all, and with these three?


# %%
def discriminative(net):
    """Groups with the full rate for the head, 1/10 for the last stage and 1/100 for the others."""
    return parameter_groups(net, RATE, {"3": 1.0, "2": 0.1, "*": 0.01})


def moved(net):
    pairs = [(net[k][0].weight, base[k][0].weight) for k in range(3)]
    return [((a - b).norm() / b.norm()).item() for a, b in pairs]


one_rate, three_rates = transfer(frozen=0), transfer(frozen=0)
fit(one_rate, *some, one_rate.parameters(), steps=50)
fit(three_rates, *some, discriminative(three_rates), steps=50)
for name, net in (("one rate", one_rate), ("three rates", three_rates)):
    print(f"{name:12} stages moved by", " ".join(f"{share:6.2%}" for share in moved(net)))

# %% [markdown]
# With one rate, the first steps go in the direction that a *random head* asks for, and the old features are spoiled a little before the head is any good. Small rates keep them. Whether keeping is right depends on the new task. That is the next section.
#
# ## 5. The table of the slides, measured
#
# | | similar data | different data |
# |---|---|---|
# | **little data** | a linear classifier on top | you are in trouble: linear classifiers on several stages |
# | **much data** | fine-tune a few layers | fine-tune many layers |
#
# Similar: the digits 5 to 9. Different: the same digits, but *written in stripes*. The ink has horizontal stripes, the paper vertical ones, one pixel wide. No stroke is brighter than its background, so what the first stage has learned is of little use.


# %%
def in_stripes(x):
    """Images (N, 1, 16, 16) with ink as horizontal stripes on vertical ones; each image has its own phase."""
    at, phase = minicnn.arange(16), minicnn.randint(2, (2, len(x), 1, 1, 1))
    rows = (at.reshape(16, 1) + phase[0]) % 2  # (N, 1, 16, 1)
    columns = (at + phase[1]) % 2  # (N, 1, 1, 16)
    return x * rows + (1 - x) * columns


minicnn.manual_seed(2)
tasks = {
    "similar": (second, second_test),
    "different": ((in_stripes(second[0]), second[1]), (in_stripes(second_test[0]), second_test[1])),
}
pair = [tasks[name][0][0][k] for k in range(3) for name in tasks]
names = [f"{int(second[1][k]) + 5}, {name}" for k in range(3) for name in tasks]
visualize.excited(minicnn.stack(pair), names, title="The same digits for both tasks")

# %% [markdown]
# **Predict.** Five ways, four cells. Write down your winner of each cell, and where training from scratch beats every transfer.

# %%
WAYS = {  # name: (stages that are frozen, the groups that are trained)
    "new head": (3, lambda net: net[3].parameters()),
    "head + last stage": (2, lambda net: net[2:].parameters()),
    "all, three rates": (0, discriminative),
    "all, one rate": (0, lambda net: net.parameters()),
    "from scratch": (0, lambda net: net.parameters()),
}
SIZES = {"little": (50, 150), "much": (2000, 200)}  # images (if there are as many), steps
results = {}


# %%
def measure(kind):
    """The accuracies of all ways, for little and much data of one kind; three seeds each."""
    (x, y), test = tasks[kind]
    for amount, (count, steps) in SIZES.items():
        for way, (stay, groups) in WAYS.items():
            for seed in range(3):
                minicnn.manual_seed(seed)  # the same images for all ways
                chosen = minicnn.randperm(len(x))[:count]
                net = build() if way == "from scratch" else transfer(stay)
                fit(net, x[chosen], y[chosen], groups(net), steps)
                results.setdefault((amount, kind), {}).setdefault(way, []).append(accuracy(net, *test))


def show(kind):
    for amount in SIZES:
        found = results[amount, kind]
        print(f"{amount} data, {kind}:", ", ".join(f"{way} {np.mean(values):.0%}" for way, values in found.items()))


measure("similar")
show("similar")

# %% [markdown]
# **Predict.** Which of the five will lose most on the striped digits?

# %%
measure("different")
show("different")

# %%
figure, grid = plt.subplots(2, 2, figsize=(9, 4.4), sharex=True, layout="constrained")
for axes, ((amount, kind), found) in zip(grid.T.flat, results.items(), strict=True):
    values = 100 * np.array(list(found.values()))  # (5, 3)
    best = values.mean(1).argmax()
    axes.barh(list(found), values.mean(1), color=["#0072B2" if k == best else "#9ecae1" for k in range(len(values))])
    axes.plot(values, np.arange(len(values)), "o", color="#222222", markersize=3)
    axes.set_title(f"{amount} data, {kind}", fontsize=10)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
for axes in grid[1]:
    axes.set_xlabel("right on test images (%)")
for axes in grid[:, 1]:
    axes.set_yticklabels([])
plt.show()

# %% [markdown]
# Both together. A bar is the mean of three seeds, the dots are the seeds: each has its own images and its own start of the head. The darkest bar is the best mean. Where dots overlap, do not speak of a winner.

# %%
for cell, found in results.items():
    means = {way: np.mean(values) for way, values in found.items()}
    best = max(means, key=means.get)
    gain = max(value for way, value in means.items() if way != "from scratch") - means["from scratch"]
    print(f"{', '.join(cell)}: best is {best}; the best transfer against scratch: {100 * gain:+.1f} points")

# %% [markdown]
# What to read in it:
#
# - From *little* to *much*: with more images (and somewhat more steps) everything gets better, but a new head soon reaches the end of what frozen features can give. Look for the cell in which the best transfer gains most over training from scratch.
# - From *similar* to *different*: the frozen features lose most. A head alone cannot repair them; layers that move at the full rate can.
# - All ways had the same steps, and few of them. Small rates are careful and slow: after so few steps they are not far from a new head alone, and more steps would bring them further.
#
# Does your winner differ from the table of the slides? The table is for nets with millions of parameters, which learn fifty images by heart when all layers move. This net has some thousands: moving its layers is less of a risk. A rule of thumb is where one starts; the measurement decides.
#
# The corner *little data, different* has one more proposal in the table: linear classifiers on **several** stages. **Predict.** On which stage is the linear classifier best now: early or late?

# %%
(x, y), test = tasks["different"]
striped = explain.linear_probes(base, (x[few], y[few]), stages, test=test)
for probe, before in zip(striped, trained_probes, strict=True):
    print(f"{probe.layer:8} different data {probe.test:.1%}, similar data {before.test:.1%}")
late = striped[-1].test - max(probe.test for probe in striped[1:-1])
print(f"the last stage against the best earlier one, on different data: {100 * late:+.1f} points")

# %% [markdown]
# A negative number means: on different data, an earlier stage is the better place for a linear classifier. Early stages are general, late ones belong to their task.
#
# ## 6. Save and load, without pickle
#
# `minicnn.save` writes safetensors: names, shapes and numbers. A pickle file may run any program when it is loaded; this one cannot.

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "digits.safetensors"
    minicnn.save(base.state_dict(), file)
    print(f"{file.name}: {file.stat().st_size:,} bytes for {sum(p.numel() for p in base.parameters()):,} parameters")
    again = build()
    again.load_state_dict(minicnn.load(file))

    wider = build()  # for a task with eight classes
    wider[3][1] = nn.Linear(32 * 2 * 2, 8)
    models.load_weights(wider, file, skip_head=True)

print("the same results:", accuracy(again, *first_test) == accuracy(base, *first_test))
print(
    "stages loaded, head kept:", minicnn.equal(wider[2][0].weight, base[2][0].weight), tuple(wider[3][1].weight.shape)
)

# %% [markdown]
# ## 7. Published weights
#
# Nobody trains on ImageNet for a homework. With a network, this takes the weights that torchvision publishes (45 MB for ResNet-18), once, and checks them by their hash. It is not run here:
#
# ```python
# from minicnn import datasets, models, nn
#
# weights = models.ResNet18_Weights.DEFAULT
# net = models.resnet18(weights=weights)         # the names and shapes are torchvision's
# net.requires_grad_(False)                      # freeze all ...
# net.fc = nn.Linear(512, 5)                     # ... and a new head, for five classes
# net.eval()                                     # batch norm keeps its statistics
# data = datasets.ImageFolder("my_images", transform=weights.transforms())   # resize, crop, normalise as in its training
# ```
#
# Three things are often forgotten: the images must be resized and *normalised* as in the training of the net (`weights.transforms()`); batch norm must stay in evaluation mode; and for a net of grey images, the image is repeated in three channels. Without a network, put the file into `~/.cache/minicnn/weights` by hand.
#
# On device meta the shapes are checked without a file and without memory:

# %%
with minicnn.device("meta"):
    net = models.resnet18()
    net.requires_grad_(False)
    whole = sum(p.numel() for p in net.parameters())
    net.fc = nn.Linear(512, 5)
lesson.compare(
    ("parameters of ResNet-18", "11.7M", whole),
    ("trained, with a new head for five classes", 512 * 5 + 5,
     sum(p.numel() for p in net.parameters() if p.requires_grad)),
    ("frozen", whole - 513 * 1000, sum(p.numel() for p in net.parameters() if not p.requires_grad)),
)  # fmt: skip

# %% [markdown]
# ## Exercises
#
# A new head is a linear layer. Its gradients, by hand:


# %%
def linear_backward(gy, x, w):
    raise NotImplementedError  # your code


check(linear_backward, "linear_backward")

# %% [markdown]
# More of this kind: `minicnn exercise new sgd_step`, `minicnn exercise new batch_norm_forward` (training and evaluation mode differ there). For paper and pencil: `minicnn exercise quiz nets`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `freeze(net, ["0", "1", "2"])` | `net[:3].requires_grad_(False)`, and after each `net.train()`: `net[:3].eval()` |
# | `optim.Adam(parameter_groups(net, RATE, {"2": 0.1, "*": 0.01}))` | `torch.optim.Adam([{"params": ..., "lr": ...}, ...])` |
# | `replace_head(net, 5)` | `net[3][1] = nn.Linear(128, 5)` |
# | `models.resnet18(weights="DEFAULT")`, `net.fc = nn.Linear(512, 5)` | the same: `torchvision.models.resnet18` |
# | `minicnn.save(net.state_dict(), file)` | `safetensors.torch.save_file(net.state_dict(), file)`; `torch.save` writes a pickle |
# | `minicnn.load(file)` | `safetensors.torch.load_file(file)`, or `torch.load(file, weights_only=True)` for a pickle |
# | `models.load_weights(net, file, skip_head=True)` | take the entries of the head out of the dict, then `net.load_state_dict(rest, strict=False)` |
# | `explain.linear_probes` | nothing: features from hooks, and a classifier of scikit-learn |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "ResNet-18 gives 512 features. How many parameters has a new head for five classes?",
        2565,
        sum(p.numel() for p in net.fc.parameters()),
        "512 * 5 weights and 5 biases",
    ),
    (
        "The full learning rate is 0.002. Which one do the middle layers get by the rule of the slides?",
        0.00002,
        min(rates),
        "a hundredth",
    ),
    (
        "You have frozen all layers, and yet the net changes. Why?",
        "Batch normalisation in training mode updates its running mean and variance. They are buffers, not parameters; "
        "put the frozen layers into evaluation mode.",
    ),
    tolerance=1e-12,
)
