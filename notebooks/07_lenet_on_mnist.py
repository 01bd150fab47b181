# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 07 LeNet on MNIST
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/07_lenet_on_mnist.ipynb)
#
# **After this notebook you can**
#
# - build LeNet-5 from its table, and count its parameters layer by layer,
# - write a training loop, and say what each line is for,
# - read learning curves, a confusion matrix, and the worst mistakes of a net,
# - save a trained net, load it again, and let it read one digit.
#
# **It builds on** notebook 06: layers, cross-entropy and accuracy. It takes about one minute of computing, and an hour of thinking. Without the files of MNIST it trains on the bundled digits, which are fewer and smaller.

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
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np

import minicnn
from minicnn import nn, train, visualize
from minicnn.exercises import check, lesson
from minicnn.models import LeNet5
from minicnn.optim import SGD
from minicnn.utils.data import DataLoader

# %% [markdown]
# ## 1. The net
#
# LeNet-5 is a net of 1998 that read the numbers on cheques. It was not the first convolutional net that learned by backpropagation: a smaller one of the same group read zip codes in 1989. As the slides teach it today:


# %%
def lenet():
    """1x32x32 -> ten scores."""
    convolutions = [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2)]
    dense = [nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*convolutions, nn.Flatten(), *dense)


# %% [markdown]
# **Predict.** Make a table with a pencil: for each layer the shape of its output for an image of 1x32x32, and its parameters (weights and biases). What is the sum? Which layer has most?

# %%
minicnn.manual_seed(0)
table = minicnn.summary(lenet(), (1, 32, 32))

# %%
rows = [(layer.outputs[0], layer.parameters) for layer in table.layers if layer.leaf]  # shape of one image, parameters
lesson.compare(
    ("convolution 1 -> 6", ((6, 28, 28), 156), rows[0]),
    ("pooling", ((6, 14, 14), 0), rows[2]),
    ("convolution 6 -> 16", ((16, 10, 10), 2_416), rows[3]),
    ("pooling", ((16, 5, 5), 0), rows[5]),
    ("linear 400 -> 120", ((120,), 48_120), rows[7]),
    ("linear 120 -> 84", ((84,), 10_164), rows[9]),
    ("linear 84 -> 10", ((10,), 850), rows[11]),
    ("all", 61_706, table.total_params),
    ("all, on another slide", 59_706, table.total_params, "(5*5+1)*16: it forgets the 6 input maps"),
)

# %% [markdown]
# The wrong slide counts the second convolution as $(5 \cdot 5 + 1) \cdot 16 = 416$. But each filter is as deep as its input: $(5 \cdot 5 \cdot 6 + 1) \cdot 16 = 2416$. With average pooling or ReLU the count is the same, as they have no parameters. The linear layers have 96 % of the parameters.
#
# The third stage is drawn as a linear layer on some slides, as a 5x5 convolution on others. A 5x5 filter has one place on a 5x5 map, so both are the same:

# %%
as_conv, as_linear = (minicnn.summary(LeNet5(third=third), (1, 32, 32), verbose=0) for third in ("conv", "fc"))
print(as_conv.total_params, "parameters with a convolution,", as_linear.total_params, "with a linear layer")

# %% [markdown]
# ## 2. The images

# %%
images = lesson.images("mnist", side=32)
recipe = train.find_recipe("LeNet5", "mnist" if images.real else "digits")
print(images)
print(f"recipe: {recipe.optimizer} {dict(recipe.optimizer_options)}, batch {recipe.batch_size}, {recipe.epochs} epochs")

# %%
lesson.compare(
    *[
        ("training images of MNIST", 60_000, len(images.train)),
        ("test images", 10_000, len(images.test)),
        ("steps in an epoch, batch 100", 600, len(images.train) // recipe.batch_size),
    ][: 3 if images.real else 0],
    ("classes", 10, len(images.classes)),
)

# %% [markdown]
# Each image is a tensor of 1x32x32 numbers from 0 to 1. Those of MNIST have 28x28 pixels, the bundled digits 8x8: they are resized.
#
# ## 3. The loop, written out
#
# A training is one loop. For each batch: forget the old gradients, go forward, compute the loss, go back, take a step. `shuffle=True` gives the images in a new order in each epoch.
#
# **Predict.** The net is untrained. What is the loss of the first batch, roughly? (Ten classes, notebook 06.)


# %%
def loaders():
    """The two parts of the data in batches; the order of the training images follows from the seed."""
    return DataLoader(images.train, batch_size=recipe.batch_size, shuffle=True), DataLoader(
        images.test, batch_size=1000
    )


def step(model, optimizer, pictures, classes):
    """One step of training; returns the loss before it."""
    optimizer.zero_grad()  # else the gradients would be added to those of the step before
    scores = model(pictures)  # (N, 1, 32, 32) -> (N, 10)
    loss = nn.functional.cross_entropy(scores, classes)
    loss.backward()
    optimizer.step()  # each weight -= lr * its gradient, with momentum if there is any
    return loss.item()


trial, batch = lenet(), next(iter(loaders()[0]))
print(f"loss of an untrained net: {step(trial, SGD(trial.parameters(), lr=0.01), *batch):.3f}")

# %% [markdown]
# Near $\log 10 = 2.303$: it knows nothing. Now the loop itself, over 100 batches (of the bundled digits there are fewer: then this is one epoch).

# %%
minicnn.manual_seed(1)
net, (train_loader, test_loader) = lenet(), loaders()
optimizer = SGD(net.parameters(), **recipe.optimizer_options)
start = time.perf_counter()
losses = [step(net, optimizer, *batch) for batch in itertools.islice(train_loader, 100)]
seconds = (time.perf_counter() - start) / len(losses) * len(train_loader)
print(f"{len(losses)} steps: loss of the last batch {losses[-1]:.3f}; an epoch takes about {seconds:.1f} s here")

# %% [markdown]
# The test images play no part in the loop. They answer one question, after each epoch: how good is the net on images that it has never seen? For that it is set to evaluation mode, and nothing is recorded.

# %%
net.eval()
with minicnn.no_grad():
    right = sum(int((net(pictures).argmax(1) == classes).sum()) for pictures, classes in test_loader)
print(f"after {len(losses)} steps {right / len(images.test):.2%} of the test images are right")

# %% [markdown]
# ## 4. All epochs
#
# `train.train` is the same loop, with the results of each epoch ([its source](../minicnn/train/loop.py)). We start again with the same seed. A slide trains for ten epochs with learning rate 0.01. Here we train for as many of them as fit in a minute on this machine, at least for one. The line below the picture says how many. (The bundled digits have a recipe of their own, with 30 epochs.)
#
# **Predict.** How good is the net after the first epoch? After which of the ten is the test accuracy above 90 %?

# %%
epochs = min(recipe.epochs, max(1, int(60 / seconds)))
minicnn.manual_seed(1)
net, (train_loader, test_loader) = lenet(), loaders()
before = net[0].weight.detach().clone()
optimizer = SGD(net.parameters(), **recipe.optimizer_options)
history = train.train(net, train_loader, test_loader, optimizer, nn.CrossEntropyLoss(), epochs, progress=False)

# %%
visualize.curves(history, judged="test")

# %% [markdown]
# The training values are means over the epoch, while the net was still learning; the test values are measured at its end. That is why the test accuracy can be the higher one.
#
# The slide prints the log of its ten epochs. Another start and another order of the images give other numbers, so they cannot agree to the last digit: a point more or less is normal, and in the first two epochs several points.

# %%
SLIDE = ((2.179, 57.64), (1.0242, 84.61), (0.5052, 88.76), (0.3701, 91.27), (0.2959, 92.71), (0.2447, 93.82),
         (0.2068, 94.7), (0.178, 95.44), (0.1555, 96.04), (0.1384, 96.5))  # fmt: skip
print(f"{epochs} of {recipe.epochs} epochs, on {images.name}")
if images.real:
    print("epoch  slide: loss, test accuracy   here: loss, test accuracy")
    for number, (loss, test) in enumerate(SLIDE, 1):
        ours = [f"{one.train_loss:11.4f}  {one.val_top1:14.2%}" for one in history[number - 1 : number]]
        print(f"{number:5}  {loss:11.4f}  {test:13.2f} %  {''.join(ours)}")

# %% [markdown]
# On MNIST, with all ten epochs, this recipe reaches 96.6 %, 96.6 % and 97.0 % with three seeds; the slide prints 96.50 %. `minicnn train lenet5 --dataset mnist --recipe course` runs all of it.
#
# It is a slow recipe. With *momentum* 0.9 each step is the gradient plus 0.9 of the step before. Where the gradient keeps its direction, the steps add up to $1 + 0.9 + 0.9^2 + \ldots = 10$ times one step.
#
# **Predict.** We train the same net for one more epoch, now with momentum. Is one such epoch worth one of the epochs before, or more? (The recipe of the bundled digits has momentum from the start; there, little changes.)

# %%
faster = SGD(net.parameters(), lr=0.01, momentum=0.9)
more = train.train(net, train_loader, test_loader, faster, nn.CrossEntropyLoss(), 1, progress=False)
print(f"test accuracy: {history[-1].val_top1:.2%} before, {more[-1].val_top1:.2%} after one more epoch")

# %% [markdown]
# From random weights, too, this net with momentum is above 98 % on MNIST after three or four epochs. This is the net that we look at from here on.
#
# ## 5. What it gets wrong
#
# **Predict.** Which digits will be taken for each other?

# %%
scores, targets = train.predict(net, test_loader)  # (N, 10), (N,)
said = scores.argmax(axis=1)
names = [name.split(" - ")[0] for name in images.classes]  # "4 - four" -> "4"
counts = train.confusion_matrix(said, targets, 10)
visualize.confusion(counts, names)

# %%
wrong = counts - np.diag(np.diag(counts))
for place in np.argsort(wrong, axis=None)[::-1][:3]:
    true, taken = np.unravel_index(place, wrong.shape)
    print(f"{names[true]} taken for {names[taken]}: {wrong[true, taken]}")

# %% [markdown]
# More than the number of mistakes, the mistakes themselves tell. Here are those that the net was surest of. Would you have read them right?

# %%
visualize.errors(images.test.data, targets, said, train.softmax(scores), n=10, classes=names)

# %% [markdown]
# ## 6. Inside
#
# **Predict.** The six filters of the first layer started with random numbers. How will they look after the training: all new, or can one still see the start?

# %%
visualize.changed(before, net[0].weight)

# %% [markdown]
# The change is smooth: neighbouring pixels of a digit are alike, so the gradients of neighbouring weights are alike, too. How much of the start is left depends on how long one trains. And this is the way of one test image through the net:

# %%
picture, target = images.test[0]
visualize.overview(net, picture, names, target=int(target))

# %% [markdown]
# ## 7. Keep it
#
# A trained net is its weights. `save_weights` writes them as *safetensors*: names, shapes and numbers, and nothing that could run. (A *pickle*, in which nets are often passed on, can run any program when it is read.)
#
# **Predict.** A float32 has 4 bytes. How large is the file?

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "lenet.safetensors"
    train.save_weights(file, net, {"epochs": epochs + 1})
    size = file.stat().st_size
    again = lenet()
    about = train.load_weights(file, again)
print(f"{size:,} bytes: {4 * table.total_params:,} for the numbers, the rest for names and shapes")
print("saved with it:", about)

# %% [markdown]
# The net that was loaded reads one digit. A batch of one image has the shape 1x1x32x32:

# %%
with minicnn.no_grad():
    p = nn.functional.softmax(again(picture.unsqueeze(0)), dim=1)[0]  # (1, 32, 32) -> (1, 1, 32, 32) -> (10,)
for place in p.argsort(descending=True)[:3].tolist():
    print(f"{names[place]}: {p[place].item():.1%}")
print("It is a", names[int(target)])

# %% [markdown]
# ## Exercises
#
# The optimiser is three lines. Write its step, with momentum:


# %%
def sgd_step(x, g, v, lr, momentum, weight_decay, nesterov):
    raise NotImplementedError  # your code


check(sgd_step, "sgd_step")

# %% [markdown]
# More of this kind: `minicnn exercise new cross_entropy_backward`, then `conv2d_backward` and `adam_step`. For paper and pencil: `minicnn exercise quiz nets` and `minicnn exercise quiz curves`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `nn.Sequential`, `nn.Conv2d`, `nn.Tanh`, `nn.MaxPool2d`, `nn.Flatten`, `nn.Linear` | the same names in `torch.nn` |
# | `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()` | the same |
# | `minicnn.utils.data.DataLoader` | `torch.utils.data.DataLoader` |
# | `minicnn.datasets.MNIST` | `torchvision.datasets.MNIST` |
# | `minicnn.manual_seed(1)` | `torch.manual_seed(1)`; the random numbers are others |
# | `train.train`, `train.evaluate`, `train.predict` | nothing: everybody writes the loop |
# | `train.save_weights`, `train.load_weights` | `safetensors.torch.save_file` and `load_file`, a package of its own; `torch.save` writes a pickle |
# | `visualize.curves`, `confusion`, `errors`, `overview` | nothing |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How many parameters has the second convolution of LeNet-5, 16 filters of 5x5 over 6 maps?",
        2416,
        rows[3][1],
        "(5*5*6 + 1) * 16",
    ),
    (
        "MNIST has 60,000 training images. How many steps has a training of ten epochs with batches of 100?",
        6000,
        10 * len(DataLoader(range(60_000), batch_size=100)),
        "600 in each epoch",
    ),
    (
        "Why does each step begin with zero_grad()?",
        "backward() adds to the gradients that are there. Without it, each step would use those of all steps before.",
    ),
)
