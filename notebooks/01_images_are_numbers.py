# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 01 Images are numbers
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/01_images_are_numbers.ipynb)
#
# **After this notebook you can**
#
# - say what a computer sees of an image, and read the shapes (H, W, C) and (N, C, H, W),
# - change an image by changing its numbers,
# - show by a measurement why pixels are hard to compare,
# - train a first classifier, look at what it has learned, and count its weights.
#
# **It builds on** nothing: it is the first. A little Python is enough. It takes about 20 seconds of computing, and 40 minutes of thinking.

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
from minicnn import datasets, explain, nn, train, transforms, visualize
from minicnn.exercises import check, lesson
from minicnn.utils.data import DataLoader, Subset

# %% [markdown]
# ## 1. How these notebooks work
#
# - Run a cell with Shift+Enter, from top to bottom. Nothing is downloaded on your own machine.
# - **Predict.** asks you something before the next cell answers it. Write your answer down first. A wrong guess is worth more than an answer that you only read.
# - Change numbers and run again. You cannot break anything.
# - Numbers that slides of a course print are computed again, and compared.
# - At the end there are exercises with a grader, and three questions.
#
# ## 2. A table of numbers
#
# This is all that a computer gets. Each number is the brightness of one pixel.
#
# **Predict.** Which digit is it? Which number is black, and which is white?

# %%
digits = datasets.Digits(train=False)
digit = digits.data[24]  # (H, W): 8 rows of 8 pixels
print(digit)

# %% [markdown]
# Hard to say, although all information is there. Now the same numbers as grey squares:

# %%
visualize.number_grid(digit)

# %% [markdown]
# Now you see it, best from two metres away. The computer still has only the table. This distance, between numbers and what they mean, is the *semantic gap*. Sections 6 and 7 measure it.
#
# 0 is black and 255 is white, because each pixel is one *byte*: 8 bits, so $2^8 = 256$ values.

# %%
print(digit.dtype, "from", digit.min().item(), "to", digit.max().item())
print("it is a", digits.targets[24].item())

# %% [markdown]
# ## 3. Colour: three tables
#
# A screen mixes each colour from red, green and blue light. So a colour image has three numbers for each pixel: its shape is height x width x **3**.
#
# **Predict.** This is a photograph of a flower, made as small as 8x8 pixels. How many numbers are that? The flower is orange. Which of the three tables has large numbers there, and which has small ones?

# %%
tiny = explain.sample_image("flower", height=8)[:, 2:10]  # (H, W, C), numbers from 0 to 1
pixels = minicnn.tensor(tiny * 255).round().to(minicnn.uint8)
visualize.number_grid(pixels.permute(2, 0, 1))  # (H, W, C) -> (C, H, W)

# %%
print(tuple(pixels.shape), "has", pixels.numel(), "numbers")
red, green, blue = pixels.permute(2, 0, 1)  # (H, W, C) -> three times (H, W)
print("mean of red, green, blue:", [round(channel.float().mean().item()) for channel in (red, green, blue)])

# %% [markdown]
# ## 4. (N, C, H, W), and the order in memory
#
# A net gets many images at once, a *batch*, and it wants the channels first: (N, C, H, W) is number of images, channels, height, width. $x_{n,c,h,w}$ is one number.
#
# Memory has no rows and columns. It is one long line, so the numbers must be laid down in some order. Take one image of 2x2 pixels. The number $cij$, such as 201, stands for channel $c$, row $i$, column $j$:

# %%
x = minicnn.tensor([[[[100 * c + 10 * i + j for j in (0, 1)] for i in (0, 1)] for c in (1, 2, 3)]])
print(tuple(x.shape))
print("in memory:", x.numpy().ravel(order="K"))  # K: as it lies there

# %% [markdown]
# One channel after the other: this is called **NCHW**. The other common order is **channels-last**: pixel after pixel, with the three numbers of a pixel beside each other.
#
# **Predict.** What is the line then? And what is `x[0, 1, 0, 1]`, before and after?

# %%
last = x.contiguous(memory_format=minicnn.channels_last)
print("in memory:", last.numpy().ravel(order="K"))
print("shape", tuple(last.shape), "number", last[0, 1, 0, 1].item(), "as before:", minicnn.equal(last, x))
print("steps in memory to the next n, c, h, w:", x.stride(), "and", last.stride())

# %% [markdown]
# The same numbers under the same names; only the steps differ. The order never changes a result, but it changes the speed (notebook 03). The place of a number is the sum of index times step:
#
# $$\text{place}(n, c, h, w) = n\,s_n + c\,s_c + h\,s_h + w\,s_w$$
#
# ## 5. Bytes and floats
#
# **Predict.** 200 and 100 are two bytes. What is their sum, again as a byte?

# %%
a, b = minicnn.tensor([200, 100], dtype=minicnn.uint8)
print("as bytes:", (a + b).item(), "  as floats:", (a.float() + b.float()).item())

# %% [markdown]
# 300 does not fit into a byte: 300 - 256 is left. So before one computes with pixels, they become floats. `ToTensor` does this: from bytes 0..255 (H, W, C) to floats 0..1 (C, H, W).
#
# Nets learn faster if the numbers are around 0 with a spread of about 1. So one takes the mean $\mu$ and the standard deviation $\sigma$ of all training pixels, and uses $(x - \mu)/\sigma$. From here on we use MNIST, 28x28 pixels; where its files are not there, the bundled digits in that size:

# %%
data = lesson.images("mnist")
images, labels = next(iter(DataLoader(data.test, batch_size=300)))  # (N, C, H, W) and (N,)
print(data)
print(tuple(images.shape), images.dtype, f"from {images.min().item()} to {images.max().item()}")

# %%
known_bytes = data.train.data.numpy()  # (N, H, W), all training images
mean, std = known_bytes.mean() / 255, known_bytes.std() / 255
normal = transforms.Normalize([mean], [std])(images)
print(f"the training pixels: mean {mean:.4f}, standard deviation {std:.4f}")
print(f"these {len(images)} test images: mean {images.mean().item():.2f}, standard deviation {images.std().item():.2f}")
print(f"after (x - mean) / std: mean {normal.mean().item():.2f}, standard deviation {normal.std().item():.2f}")

# %% [markdown]
# Near 0 and 1, not exactly: the two numbers come from the training images. Test images must not be used for anything that is learned, not even for these two.
#
# ## 6. Change the numbers, and you change the image
#
# **Predict.** Which line of the next cell makes the image brighter, which mirrors it, and what does `[[2, 1, 0]]` do to the colours?

# %%
minicnn.manual_seed(0)
photo = minicnn.tensor(explain.sample_image("flower", height=64)).permute(2, 0, 1)  # (H, W, C) -> (C, H, W)
visualize.gallery(
    {
        "image": photo,
        "+ 0.3": (photo + 0.3).clamp(0, 1),
        "* 0.3": photo * 0.3,
        "1 - x": 1 - photo,
        "flip(2)": photo.flip(2),
        "flip(1)": photo.flip(1),
        "roll(20, 2)": photo.roll(20, 2),
        "[[2, 1, 0]]": photo[[2, 1, 0]],
        "only red": photo * minicnn.tensor([1.0, 0, 0]).reshape(3, 1, 1),
        "grey": photo.mean(0, keepdim=True),
        "noise": (photo + 0.15 * minicnn.randn(*photo.shape)).clamp(0, 1),
        "every 4th": photo[:, ::4, ::4],
    }
)

# %% [markdown]
# For you, nearly all of them are the same flower. For a computer every number is another one. How different is that? A first measure is the distance of two images, as if each were a point with one coordinate for each pixel:
#
# $$d(x, z) = \sqrt{\sum_{h,w} (x_{h,w} - z_{h,w})^2}$$
#
# **Predict.** Move a digit by three pixels to the right. What is nearer to it: the same image before the move, or an image of *another digit* that somebody else has written?

# %%
some = Subset(data.train, range(min(3000, len(data.train))))
known = explain.embedding(None, some)  # None: no net, the pixels themselves
moved = images.roll(3, 3)  # along W

to_itself = ((moved - images) ** 2).sum((1, 2, 3)).sqrt().numpy()  # (N, C, H, W) -> (N,)
found = explain.nearest(None, known, moved, len(some), metric="euclidean")  # all distances, sorted
other = found.labels != labels.numpy()[:, None]  # (N, known images)
stranger = found.distances[range(len(images)), other.argmax(1)]  # the first that is True
print(f"an image of another digit is nearer for {(to_itself > stranger).mean():.0%} of {len(images)} images")

# %% [markdown]
# That is the semantic gap, as a number. The meaning has not changed at all, but nearly every image has moved further from itself than it is from some image with another meaning.
#
# ## 7. The nearest neighbour
#
# A classifier without any training: look for the most similar known image, and say its class. **Predict.** There are ten classes, so guessing is right in 10 %. How often is this right: below 50 %, about 70 %, or above 85 %? Which of these changes harms it most: noise, half the brightness, a mirror, three pixels to the right?

# %%
minicnn.manual_seed(0)
changes = {
    "as it is": images,
    "noise": images + 0.15 * minicnn.randn(*images.shape),
    "half as bright": images * 0.5,
    "mirrored": images.flip(3),
    "3 pixels to the right": moved,
}
right = {}
for name, changed in changes.items():
    found = explain.nearest(None, known, changed, 1, metric="euclidean")
    right[name] = (found.labels[:, 0] == labels.numpy()).mean()
    print(f"{name:22} {right[name]:5.0%} right")

# %% [markdown]
# Surprisingly good as long as the digits stand in the middle and have one size: this is why MNIST is an easy problem. But what does not matter to a person, such as a small shift, costs it a lot. (A mirrored digit is another matter: some of them are no digits any more.)
#
# Look at four mistakes with the moved digits. The first column is the moved digit with its class; the others are its five nearest images, with their distance. Those of another class have an orange, dashed frame, and their class is printed:

# %%
wrong = [i for i, kind in enumerate(found.labels[:, 0]) if kind != labels[i].item()][:4]
near = explain.nearest(None, known, moved[wrong], 5, metric="euclidean")
pictures = next(iter(DataLoader(some, batch_size=len(some))))[0]
visualize.neighbours(moved[wrong], pictures, near, labels[wrong].numpy(), title="Nearest in pixels")

# %% [markdown]
# ## 8. A first classifier that learns
#
# A *linear* classifier has one table of weights for each class, as large as the image. The score of a class is the sum of all pixels times weights, and the class with the largest score wins:
#
# $$s_k = b_k + \sum_{h,w} w_{k,h,w}\; x_{h,w}$$
#
# Training looks for weights with which the right class has the largest score. How, is the matter of later notebooks; here we let it run for three rounds through the data.
#
# **Predict.** How many parameters has it for ten classes and 28x28 pixels? How often will it be right?

# %%
minicnn.manual_seed(0)
linear = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))  # (N, 1, 28, 28) -> (N, 784) -> (N, 10)
for parameter in linear.parameters():
    nn.init.zeros_(parameter)  # start at zero, so that all we see was learned
optimizer = minicnn.optim.SGD(linear.parameters(), lr=0.1, momentum=0.9)
loaders = DataLoader(data.train, batch_size=100, shuffle=True), DataLoader(data.test, batch_size=500)
history = train.train(linear, *loaders, optimizer, nn.CrossEntropyLoss(), 3, progress=False)
print(f"{sum(p.numel() for p in linear.parameters()):,} parameters: 784*10 weights and 10 biases")

# %% [markdown]
# The weights of one class have the shape of an image, so one can look at them:

# %%
weight = linear[1].weight.detach().reshape(10, 28, 28)  # (10, 784) -> (10, 28, 28)
grey = 0.5 + weight / (2 * weight.abs().max())  # 0 becomes grey, negative darker, positive brighter
visualize.gallery({str(digit): grey[digit] for digit in range(10)}, columns=5)

# %% [markdown]
# White: ink here speaks for the class. Black: ink here speaks against it. Grey is 0: these pixels are mostly black, and tell nothing. In that of the zero, ink in the middle speaks against a zero. Each class has a single template, and it is fixed to its place. So a shift harms this classifier, too. These are the 300 images of section 7, so "as it is" differs a little from the accuracy on all test images:

# %%
with minicnn.no_grad():
    for name, changed in changes.items():
        share = (linear(changed).argmax(1) == labels).float().mean().item()
        print(f"{name:22} {share:5.0%} right")

# %% [markdown]
# ## 9. How many weights?
#
# Every output of a *fully connected* layer has a weight for every input number, and one bias.
#
# **Predict.** One single neuron looks at a colour image of 32x32 pixels: how many weights has it, and how many parameters with its bias? And at one of 200x200? And a layer of 1,000 such neurons?


# %%
def weights(pixels, channels, neurons):
    """Parameters of a fully connected layer; device "meta" has shapes, but takes no memory."""
    return sum(p.numel() for p in nn.Linear(pixels * pixels * channels, neurons, device="meta").parameters())


for pixels, neurons in ((32, 1), (200, 1), (32, 1000), (200, 1000)):
    print(f"{neurons:5,} neurons on {pixels}x{pixels}x3: {weights(pixels, 3, neurons):11,} parameters")
filters = nn.Conv2d(3, 10, 5, device="meta")
print("ten filters of 5x5x3, on an image of any size:", sum(p.numel() for p in filters.parameters()), "parameters")

# %%
rows = [
    ("numbers in an image of 28x28", 784, images[0].numel()),
    ("classes of MNIST", 10, len(data.classes)),
    ("28x28 pixels to 256 neurons: parameters", 200_960, weights(28, 1, 256)),
    ("the same: multiply-adds", 200_704, 28 * 28 * 256),
    ("its output in bytes, 4 for each float32", 1024, 256 * 4),
]
if data.real:
    rows += [("images for training and for testing", (60_000, 10_000), (len(data.train), len(data.test)))]
lesson.compare(*rows)

# %% [markdown]
# Two problems are on the table. A fully connected layer has far too many weights for a large image, and it has to learn every shape anew at every place. One idea solves both: look at a small window only, and use the same weights everywhere. This is the convolution, in notebook 02.
#
# ## Exercises
#
# Run the cell as it is: it says what the function gets, and what it must return. Fill it in and run it again: the grader tries it on NumPy arrays, shows the smallest case that fails, and names the mistake. `softmax_forward` makes ten probabilities from ten scores: $y_k = e^{s_k} / \sum_j e^{s_j}$.


# %%
def softmax_forward(x):
    raise NotImplementedError  # your code


check(softmax_forward, "softmax_forward")

# %% [markdown]
# `minicnn exercise new softmax_forward` writes the same exercise to a file, with hints; `minicnn exercise list` shows all. For paper and pencil: `minicnn exercise quiz costs` asks for parameters and memory of layers. Try in this notebook: `roll(1, 3)` and `roll(6, 3)` in section 6. From which shift on is the nearest neighbour no better than guessing?
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `minicnn.tensor`, `permute`, `flip`, `roll`, `clamp` | `torch.tensor`, and the same methods |
# | `x.contiguous(memory_format=minicnn.channels_last)` | `x.contiguous(memory_format=torch.channels_last)` |
# | `transforms.ToTensor()`, `transforms.Normalize([mean], [std])` | the same in `torchvision.transforms` |
# | `minicnn.datasets.MNIST` | `torchvision.datasets.MNIST` |
# | `minicnn.datasets.Digits` | nothing; `sklearn.datasets.load_digits` has these images |
# | `nn.Flatten()`, `nn.Linear(784, 10)`, `DataLoader`, `Subset` | the same names in `torch.nn` and `torch.utils.data` |
# | `train.train` | nothing: one writes the loop (notebook 07) |
# | `explain.nearest`, `visualize.number_grid`, `visualize.gallery` | nothing |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How many parameters has a layer of 1,000 neurons on a colour image of 200x200 pixels?",
        120_001_000,
        weights(200, 3, 1000),
        "1,000 neurons, each with 200*200*3 weights and a bias",
    ),
    (
        "A batch of 32 colour images of 32x32 is in NCHW order. How many places further is the same pixel in the next channel?",
        1024,
        minicnn.empty(32, 3, 32, 32, device="meta").stride()[1],
        "a whole channel of 32*32 numbers lies between; in channels-last order it would be 1",
    ),
    (
        "Why is the nearest neighbour on pixels no way to recognise objects in photographs?",
        "Shift, light and size change nearly every number, but not the meaning: the same object can be further away than another one.",
    ),
)
