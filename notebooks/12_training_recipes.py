# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 12 Training recipes
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/12_training_recipes.ipynb)
#
# **After this notebook you can**
#
# - write down the steps of SGD, momentum, weight decay, RMSProp and Adam, and compare them fairly,
# - find a learning rate, and lower it by a schedule,
# - see overfitting in curves, find the best epoch, and stop there,
# - compare remedies with several seeds: weight decay, dropout, augmentation, label smoothing, mixup,
# - average several nets, and use a named recipe on the command line.
#
# **It builds on** notebooks 07 (the training loop) and 10 (start values). It computes for about a minute; read it in an hour.

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
import numpy as np

import minicnn
from minicnn import nn, optim, transforms, visualize
from minicnn.analysis.table import Table
from minicnn.exercises import check, lesson
from minicnn.models.start_values import he_normal
from minicnn.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, ReduceLROnPlateau
from minicnn.train import (
    accuracy,
    ensemble_error,
    find_learning_rate,
    find_recipe,
    predict,
    spread,
    train_with_seeds,
)
from minicnn.utils.data import DataLoader, Subset, TensorDataset

# %% [markdown]
# ## 1. Five optimisers, one start
#
# All runs here share a small net, images of 16x16 pixels, start values and the order of the images. The seeds decide the last two. The next cells prepare that.

# %%
pictures = lesson.images("cifar10", side=16, normalize=True)
print(pictures)


def part(dataset, start, stop):
    """Some images of a dataset, in memory."""
    some = Subset(dataset, range(start, min(stop, len(dataset))))
    return TensorDataset(*next(iter(DataLoader(some, len(some)))))


train_set, test_set = part(pictures.train, 0, 1000), part(pictures.test, 0, 300)


# %%
def small(drop=0.0):
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),       # 3x16x16 -> 16x8x8
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),      # -> 32x4x4
        nn.Flatten(), nn.Dropout(drop), nn.Linear(512, 64), nn.ReLU(), nn.Dropout(drop), nn.Linear(64, 10),
    )  # fmt: skip
    he_normal(net)
    return net


def sgd(lr=0.02, **options):
    """A maker of optimisers."""
    return lambda net: optim.SGD(net.parameters(), lr=lr, **options)


def table(results, title):
    fields = (("train_loss", 3, 1), ("train_top1", 1, 100), ("val_top1", 1, 100))
    rows = [[name, *(spread(one.last(f), d, k) for f, d, k in fields)] for name, one in results.items()]
    seeds = len(next(iter(results.values())).seeds)
    note = f"{seeds} seeds: mean (lowest to highest)" if seeds > 1 else "one seed"
    return Table(title, ["", "training loss", "training (%)", "test (%)"], rows, [note])


# %% [markdown]
# With gradient $g$ and learning rate $\eta$:
#
# | | step |
# |---|---|
# | SGD | $w \leftarrow w - \eta\, g$ |
# | momentum | $v \leftarrow 0.9\, v + g$, then $w \leftarrow w - \eta\, v$ |
# | weight decay | $g + \lambda w$ in place of $g$ |
# | RMSProp | $s \leftarrow 0.99\, s + 0.01\, g^2$, then $w \leftarrow w - \eta\, g / \sqrt{s}$ |
# | Adam | both: a running mean of $g$, divided by the root of a running mean of $g^2$ |
#
# **Predict.** A constant gradient of 1, learning rate 0.1, start at 0. Where is $w$ after three steps of SGD, and of momentum? How far does Adam go in a step?

# %%
makers = {
    "SGD": lambda w: optim.SGD(w, lr=0.1),
    "momentum": lambda w: optim.SGD(w, lr=0.1, momentum=0.9),
    "Adam": lambda w: optim.Adam(w, lr=0.1),
}
for name, make in makers.items():
    w = minicnn.zeros(1, requires_grad=True)
    optimizer, places = make([w]), []
    for _ in range(3):
        w.grad = minicnn.ones(1)
        optimizer.step()
        places.append(round(float(w), 3))
    print(f"{name:9} {places}")

# %% [markdown]
# Momentum gathers speed: in the end it goes ten times as far as plain SGD with the same rate, $1/(1 - 0.9)$. As long as the gradient stays the same, Adam's steps have the size of the learning rate, however large the gradient is. So a fair comparison gives each its own rate:

# %%
optimisers = {
    "SGD 0.1": sgd(0.1),
    "momentum 0.02": sgd(0.02, momentum=0.9),
    "and decay 5e-4": sgd(0.02, momentum=0.9, weight_decay=5e-4),
    "RMSProp 0.001": lambda net: optim.RMSprop(net.parameters(), lr=0.001),
    "Adam 0.002": lambda net: optim.Adam(net.parameters(), lr=0.002),
}
results = {
    name: train_with_seeds(small, make, train_set, test_set, 6, seeds=(0, 1), batch_size=50)
    for name, make in optimisers.items()
}
print(table(results, "Six epochs of 1000 images"))

# %%
visualize.trials(results, title="Five optimisers, one start", judged="test")

# %% [markdown]
# Read it with care: two seeds, and rates that were not searched for each. (The curves with and without weight decay lie on each other: in six epochs it does little.) A slide gives the settings of AlexNet: momentum 0.9, batch 128, learning rate 0.01, weight decay 0.0005. Weight decay is a pull towards 0: the same as adding $\lambda w$ to the gradient. Check one step:

# %%
w = minicnn.tensor([1.0, -2.0], requires_grad=True)
w.grad = minicnn.tensor([0.5, 0.5])
by_hand = w.detach() - 0.01 * (w.grad + 0.0005 * w.detach())
optim.SGD([w], lr=0.01, weight_decay=0.0005).step()
print("the same as by hand:", minicnn.allclose(w.detach(), by_hand))

# %% [markdown]
# ## 2. The learning rate
#
# **Predict.** SGD with momentum, three rates: 0.0003, 0.02 and 0.5. How do the three curves look?

# %%
rates = {
    f"rate {lr:g}": train_with_seeds(small, sgd(lr, momentum=0.9), train_set, test_set, 6, seeds=(0,), batch_size=50)
    for lr in (0.0003, 0.02, 0.5)
}
print(table(rates, "Three learning rates"))
visualize.trials(rates, title="Too small, about right, too large", judged="test")

# %% [markdown]
# Too small: it learns, but slowly. Too large: each step jumps over the valley; the loss explodes, or the net gives the same answer for all images.
#
# **A range test** finds a rate in a few epochs: make the rate larger in every step, and watch the loss. Good rates are where it falls steeply; the upper end is where it rises again.

# %%
minicnn.manual_seed(0)
net, loss_fn = small(), nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
found = find_learning_rate(net, DataLoader(train_set, 50, shuffle=True), optimizer, loss_fn, lowest=1e-3, highest=3)
print(f"{len(found.rates)} steps, from {found.rates[0]:g} to {found.rates[-1]:.2g}; suggested: {found.suggested:.2g}")
visualize.learning_rates(found)

# %% [markdown]
# `find_learning_rate` does what the text says: a step with each rate, the next rate larger by a constant factor, until the loss explodes; afterwards the net is as before. The rate with the lowest loss is already near the edge. A usual choice is a third to a tenth of it; the function suggests a tenth.

# %% [markdown]
# ## 3. Schedules
#
# Large steps first, small ones at the end: the noise of the batches then averages out. Slides say: divide the rate by 10 when the loss no longer falls (on a *plateau*), by hand or by rule. Others lower it at fixed times, or along a cosine.
#
# **Predict.** The validation losses below fall, then stay. The rule is: divide by 10 after more than 2 epochs in a row without a better loss. After which epoch does the rate fall?

# %%
made_up = [2.0, 1.6, 1.4, 1.3, 1.31, 1.3, 1.32, 1.1, 1.0, 1.0, 1.0, 1.0]
optimizer = sgd(0.1)(nn.Linear(1, 1))
plateau = ReduceLROnPlateau(optimizer, factor=0.1, patience=2)
for epoch, loss in enumerate(made_up, 1):
    plateau.step(loss)
    print(f"epoch {epoch:2}: loss {loss:.2f}, then rate {optimizer.param_groups[0]['lr']:g}")


# %%
def step_schedule(optimizer, steps):
    return MultiStepLR(optimizer, [steps // 2, 3 * steps // 4])  # a tenth, and a hundredth


schedules = {"constant": None, "divided by 10": step_schedule, "cosine": CosineAnnealingLR}
results = {
    name: train_with_seeds(
        small, sgd(0.03, momentum=0.9), train_set, test_set, 6, seeds=(0, 1), batch_size=50, make_scheduler=make
    )
    for name, make in schedules.items()
}
print(table(results, "The same start rate, three schedules"))

# %% [markdown]
# In a run this short, a lower rate may come too early, and a constant one may win. Lowering pays when the loss no longer falls.
#
# **The batch size** belongs to the rate: a larger batch has a more exact gradient, but there are fewer steps. **Predict.** 1000 images, 4 epochs: how many steps are that with batches of 10, 50 and 250? Which batch reaches the lowest training loss, if the rate stays?

# %%
results = {
    f"batch {size}": train_with_seeds(
        small, sgd(0.02, momentum=0.9), train_set, test_set, 4, seeds=(0,), batch_size=size
    )
    for size in (10, 50, 250)
}
print("steps:", [4 * -(-len(train_set) // size) for size in (10, 50, 250)])
print(table(results, "Three sizes of a batch"))

# %% [markdown]
# With the same rate, more steps go further. A larger batch can take a larger rate, as its gradient is more exact; so who changes one tries the other again.
#
# ## 4. Overfitting
#
# Now only 200 images. The net can learn them by heart. We need three sets: *training*, *validation* to make choices with, and *test*, which is touched once, at the end. An epoch chosen by the test set would be a choice that cheats.
#
# **Predict.** Draw both losses over 30 epochs. Where do they part?

# %%
few, validation = part(pictures.train, 0, 200), part(pictures.train, 1000, 1200)
overfitted = train_with_seeds(small, sgd(0.02, momentum=0.9), few, validation, 30, seeds=(0,), batch_size=20)
history = overfitted.histories[0]
best = min(history, key=lambda row: row.val_loss)
print(f"lowest validation loss: {best.val_loss:.3f} in epoch {best.epoch}; last epoch: {history[-1].val_loss:.3f}")
visualize.losses([row.train_loss for row in history], [row.val_loss for row in history])

# %% [markdown]
# The training loss goes on falling. The validation loss turns: from its lowest point on, the net learns what is special about these 200 images. Its accuracy often stays while the loss rises: wrong answers become surer.
#
# **Early stopping**: keep the weights of the best epoch on the validation set. `after_epoch` is called after each epoch:


# %%
class Keep:
    """Keeps the weights of the epoch with the lowest validation loss, for each net."""

    def __init__(self):
        self.weights, self.epochs = {}, {}

    def __call__(self, net, history):
        if history[-1].val_loss == min(row.val_loss for row in history):
            self.weights[id(net)] = {name: value.clone() for name, value in net.state_dict().items()}
            self.epochs[id(net)] = len(history)

    def restore(self, net):
        net.load_state_dict(self.weights[id(net)])


# %% [markdown]
# ## 5. Remedies, compared fairly
#
# - **Weight decay** and **dropout**, from above and from AlexNet.
# - **Augmentation**: random crops and mirroring make new images of old ones.
# - **Label smoothing** by 0.1: the target is 0.91 for the class and 0.01 for each of the nine others, so no score must grow without end.
# - **Mixup**: mix two images, and their targets in the same shares.
# - **Early stopping**, for each of them.
#
# **Predict.** AlexNet takes crops of 224x224 from images of 256x256, and mirrors them. How many times as many images are that? Count the places.

# %%
lesson.compare(
    ("crops and mirror images of one image", 2048, (256 - 224) ** 2 * 2),
    ("all places of the window, both ends counted", 2048, (256 - 224 + 1) ** 2 * 2, "33 places along a side, not 32"),
)

# %%
crop = [transforms.RandomCrop(16, padding=2)]
flip = [transforms.RandomHorizontalFlip()] if pictures.real else []  # a mirrored digit is no digit
visualize.augmentations(part(pictures.train, 0, 3), transforms.Compose([*crop, *flip]), n=7, images=3)


# %%
class Mixup(nn.Module):
    """Each image is mixed with another of its batch: share * x + (1 - share) * x in reverse order."""

    share = 1.0  # of the last batch; 1 outside of training

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        Mixup.share = float(minicnn.rand(1)) if self.training else 1.0
        return self.net(Mixup.share * x + (1 - Mixup.share) * x.flip(0))


def mixup_loss(scores, targets):
    return Mixup.share * loss_fn(scores, targets) + (1 - Mixup.share) * loss_fn(scores, targets.flip(0))


# %% [markdown]
# Each remedy alone, three seeds each, the same number of epochs. The validation set chooses the epoch, the test set judges: after the last epoch, and after the chosen one.

# %%
moving = lesson.images("cifar10", side=16, normalize=True, train_steps=[*crop, *flip])
momentum = sgd(0.02, momentum=0.9)
settings = {  # net, optimiser, images, loss
    "nothing": (small, momentum, few, None),
    "weight decay 0.01": (small, sgd(0.02, momentum=0.9, weight_decay=0.01), few, None),
    "dropout 0.5": (lambda: small(0.5), momentum, few, None),
    "augmentation": (small, momentum, Subset(moving.train, range(200)), None),
    "label smoothing 0.1": (small, momentum, few, nn.CrossEntropyLoss(label_smoothing=0.1)),
    "mixup": (lambda: Mixup(small()), momentum, few, mixup_loss),
}

# %%
final_test = DataLoader(part(pictures.test, 0, 1000), 200)
remedies, rows, last_scores = {}, [], {}


def treat(name):
    """Three seeds of a setting, and what the test set says of each net."""
    make, optimizer, images, loss = settings[name]
    keep = Keep()
    found = remedies[name] = train_with_seeds(
        make, optimizer, images, validation, 15, seeds=(0, 1, 2), batch_size=20, loss_fn=loss, after_epoch=keep
    )
    last = [accuracy(*predict(net, final_test))[0] for net in found.models]
    last_scores[name] = [predict(net, final_test)[0] for net in found.models]
    for net in found.models:
        keep.restore(net)
    stopped = [accuracy(*predict(net, final_test))[0] for net in found.models]
    training = spread(found.last("train_top1"), 0, 100)
    epochs = ", ".join(map(str, sorted(keep.epochs.values())))
    rows.append([name, training, spread(last, 1, 100), spread(stopped, 1, 100), epochs])


treat("nothing")
treat("weight decay 0.01")

# %%
treat("dropout 0.5")
treat("augmentation")

# %%
treat("label smoothing 0.1")
treat("mixup")

# %%
columns = ["", "training (%)", "test, last epoch (%)", "test, stopped early (%)", "best epochs"]
print(Table("Remedies for 200 images", columns, rows, ["3 seeds: mean (lowest to highest)"]))

# %%
visualize.trials(remedies, ("train_top1", "val_loss"), title="Remedies for 200 images")

# %% [markdown]
# How to read this:
#
# - Dropout, augmentation and mixup disturb the *training*: look how much more slowly its accuracy grows. (With mixup it is that of mixed images.) They may need more epochs than the others.
# - The validation loss at the right shows who is overfitting. It can rise while the accuracy stays.
# - Compare a difference between two rows with the ranges within a row. What is smaller than that is chance: one seed alone could "prove" anything.
# - Losses with label smoothing are not comparable with the others, as the loss itself is another one. Accuracies are.
# - The epoch was chosen by the validation *loss*. Where the accuracy stays while the loss rises, stopping early saves time and makes wrong answers less sure, but it does not make more answers right. Who wants accuracy chooses by accuracy.
# - The best remedy, more images, is not in the table.
#
# ## 6. Several nets together
#
# Nets with different seeds make different mistakes. The mean of their probabilities is an *ensemble*. **Predict.** Is the average of three nets better than their mean accuracy? Than the best of them?

# %%
truth = np.concatenate([classes.numpy() for _, classes in final_test])
for name in ("nothing", "augmentation"):
    error = ensemble_error(last_scores[name], truth)  # averages the probabilities
    alone = [1 - one for one in error.alone]
    print(f"{name}: alone {spread(alone, 1, 100)} %, together {1 - error.together[-1]:.1%}")
lesson.compare(
    ("AlexNet, top-5 error: one net (18.2 %) less seven nets (15.4 %)", 2.8, 18.2 - 15.4),
    tolerance=1e-9,
)

# %% [markdown]
# Three nets cost three times as much, in training and in use. (Two of AlexNet's seven had also seen more images: not all of the 2.8 points are the ensemble's.) Most of the errors that slides print for ImageNet are those of ensembles (notebook 09).
#
# ## 7. A recipe has a name
#
# A recipe is data: names and numbers that are written into the folder of a run, so that the run can be repeated. This is the one of a course for LeNet-5 on MNIST:

# %%
course = find_recipe("lenet5", "mnist", "lenet5-course")
steps = course.epochs * 60_000 // course.batch_size
for field in ("model", "dataset", "epochs", "batch_size", "optimizer", "optimizer_options", "loss", "about"):
    print(f"{field:18} {getattr(course, field)}")

# %%
resnet = find_recipe("resnet20", "cifar10", "resnet-cifar")
lesson.compare(
    ("LeNet: learning rate", 0.01, course.optimizer_options["lr"]),
    ("LeNet: batch, epochs", (100, 10), (course.batch_size, course.epochs)),
    ("LeNet: momentum", 0, course.optimizer_options["momentum"]),
    ("ResNet: momentum, learning rate", (0.9, 0.1), [resnet.optimizer_options[k] for k in ("momentum", "lr")]),
    ("ResNet: weight decay", 1e-5, resnet.optimizer_options["weight_decay"], "the paper has 0.0001"),
)

# %% [markdown]
# In a terminal:
#
# ```
# minicnn train                                            # LeNet-5 on the bundled digits, seconds
# minicnn train lenet5 --dataset mnist --recipe course     # the recipe above
# minicnn train resnet20 --dataset cifar10 --epochs 5 --lr 0.05 --seed 1
# minicnn plot curves RUN                                  # RUN is the folder that the training names
# ```
#
# [docs/training.md](https://github.com/minicnn/minicnn/blob/main/docs/training.md) lists all recipes, and what they reach.
#
# ## Exercises


# %%
def sgd_step(x, g, v, lr, momentum, weight_decay, nesterov):
    raise NotImplementedError  # your code: return the new x and the new v


check(sgd_step, "sgd_step")

# %% [markdown]
# Then `minicnn exercise new adam_step`, and `minicnn exercise new dropout`. For paper and pencil: `minicnn exercise quiz curves`, which shows curves and asks what is wrong with the training.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `optim.SGD(..., momentum=0.9, weight_decay=5e-4)`, `optim.RMSprop`, `optim.Adam` | `torch.optim.SGD` and so on, with the same arguments |
# | `MultiStepLR`, `CosineAnnealingLR`, `ReduceLROnPlateau` | the same names in `torch.optim.lr_scheduler` |
# | `nn.CrossEntropyLoss(label_smoothing=0.1)` | `torch.nn.CrossEntropyLoss(label_smoothing=0.1)` |
# | `transforms.RandomCrop(16, padding=2)`, `RandomHorizontalFlip()` | the same names in `torchvision.transforms` |
# | `nn.Dropout(0.5)` | `torch.nn.Dropout(0.5)` |
# | mixup | `torchvision.transforms.v2.MixUp(num_classes=10)`, on batches |
# | `train_with_seeds`, `find_recipe`, `find_learning_rate`, `ensemble_error` | nothing: one writes the loop |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "60,000 images, batches of 100, 10 epochs: how many steps?",
        6000,
        steps,
        "600 in each epoch",
    ),
    (
        "A rate of 0.1 is divided by 10 after a half and after three quarters of the steps. What is it at the end?",
        0.001,
        0.1 / 10 / 10,
    ),
    (
        "The training loss falls, the validation loss rises. What is it called, and name three remedies.",
        "Overfitting. More images, or augmentation; dropout or weight decay; a smaller net; stopping at the best epoch.",
    ),
    tolerance=1e-12,
)
