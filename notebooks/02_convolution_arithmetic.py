# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 02 Convolution arithmetic
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/02_convolution_arithmetic.ipynb)
#
# **After this notebook you can**
#
# - compute every number of a convolution by hand, with stride and padding,
# - say how large its output is, and when a window does not fit,
# - count its weights and its multiplications,
# - say what kind of matrix a convolution is.
#
# **It builds on** notebook 01: an image is a table of numbers, one table for each channel. It takes about ten seconds of computing, and half an hour of thinking.

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
from minicnn import explain, nn, visualize
from minicnn.exercises import check, lesson

# %% [markdown]
# ## 1. Multiply and add
#
# A filter is a small table of weights. It is laid on the image; the numbers that lie on each other are multiplied, and the products are added. Then the filter moves on by one pixel.
#
# This image and this filter are on the first slides of many courses:

# %%
image = minicnn.tensor(explain.EXAMPLES["cross"].x).float()
cross = minicnn.tensor(explain.EXAMPLES["cross"].w).float()
print(image)
print(cross)

# %% [markdown]
# **Predict.** Take a pencil. What is the first number of the output, at the top left? And the second?
#
# $$y_{i,j} = \sum_{a}\sum_{b} w_{a,b}\, x_{i+a,\,j+b}$$

# %%
x = image.reshape(1, 1, 5, 5)  # (N, C, H, W): one image with one channel
w = cross.reshape(1, 1, 3, 3)  # (O, C, KH, KW): one filter
explain.explain(nn.functional.conv2d, x, w, cell=(0, 0, 0, 0))

# %% [markdown]
# The same sum for all nine places of the filter gives the whole output. Framed are a window, and the number that it gives.

# %%
y = nn.functional.conv2d(x, w)
visualize.window(explain.conv_trace(x, w), cell=(0, 0, 1, 2))

# %%
lesson.compare(
    ("5x5 picture, 3x3 cross", ((10, 11, 12), (13, 13, 12), (9, 9, 11)), y[0, 0]),
    ("first sum", 10, y[0, 0, 0, 0]),
)

# %% [markdown]
# Nothing in this is hidden: `minicnn.use(backend="python", algorithm="direct")` runs the loops that you would write. It is the definition, and the tests compare all faster kernels with it (notebook 03).

# %%
with minicnn.use(backend="python", algorithm="direct"):
    print(nn.functional.conv2d(x, w))

# %% [markdown]
# **Mathematicians flip the filter** before they slide it: that is a convolution. Without the flip it is a *cross-correlation*, and that is what all frameworks compute and call convolution. For a net this makes no difference, as the weights are learned.
#
# **Predict.** For which filters do both give the same? Does the cross belong to them?

# %%
edge = minicnn.tensor([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]]).reshape(1, 1, 3, 3)
for name, kernel in (("cross", w), ("edge", edge)):
    flipped = nn.functional.conv2d(x, kernel.flip(2, 3))  # rows and columns in the other order
    print(name, "the same" if minicnn.equal(nn.functional.conv2d(x, kernel), flipped) else "differs")

# %% [markdown]
# The same for filters that look the same when they are turned by 180 degrees, such as the cross. The edge filter becomes its opposite. (*Kernel* is another word for filter.)
#
# ## 2. How large is the output?
#
# **Predict.** An image of 7x7 pixels, a filter of 3x3. How many places has the filter along one side if it moves by 1 pixel, by 2 pixels (*stride 2*), by 3?

# %%
visualize.strides(7, 3, (1, 2, 3))

# %% [markdown]
# With stride 3 the last pixel is in no window: the filter does not fit. The rule for $N$ pixels, a filter of $F$, stride $S$, padding $P$ on both sides (section 3) and dilation $D$ (the distance of the pixels under the filter; here always 1):
#
# $$O = \left\lfloor\frac{N + 2P - D\,(F - 1) - 1}{S}\right\rfloor + 1 \qquad\text{with } D = 1:\quad O = \left\lfloor\frac{N - F + 2P}{S}\right\rfloor + 1$$
#
# The brackets mean: rounded down. Frameworks do this, and leave the last pixels out. `fit="strict"` raises an error instead, as the slides do:

# %%
pixels = minicnn.zeros(1, 1, 7, 7)
print("rounded down:", tuple(nn.Conv2d(1, 1, 3, stride=3)(pixels).shape))
try:
    nn.Conv2d(1, 1, 3, stride=3, fit="strict")(pixels)
except ValueError as error:
    print(error)


# %%
def side(size, kernel, stride=1, padding=0):
    """The side of the output, from a layer that is run without computing anything."""
    x = minicnn.empty(1, 1, size, size, device="meta")
    return nn.Conv2d(1, 1, kernel, stride, padding, device="meta")(x).shape[-1]


lesson.compare(
    ("7 pixels, 3x3, stride 1", 5, side(7, 3)),
    ("7 pixels, 3x3, stride 2", 3, side(7, 3, 2)),
    ("7 pixels, 3x3, stride 1, padding 1", 7, side(7, 3, 1, 1)),
    ("32 pixels, 5x5", 28, side(32, 5)),
    ("AlexNet's first layer: 227 pixels, 11x11, stride 4", 55, side(227, 11, 4)),
    ("224 pixels, 11x11, stride 4, padding 2: (224 + 4 - 11) / 4 + 1 = 55.25", 55, side(224, 11, 4, 2)),
)

# %% [markdown]
# ## 3. Padding
#
# Without padding each layer of 5x5 takes away 4 pixels. **Predict.** How many such layers can follow each other on 32 pixels, and how many pixels are left then?

# %%
visualize.shrinking(32)

# %% [markdown]
# A ring of zeros around the image keeps the size. How wide must it be for a filter of F x F with stride 1? From $N = N - F + 2P + 1$ follows $P = (F - 1)/2$.
#
# The next example has stride 2 and padding 1. It is the animation of a well-known guide to convolution arithmetic. Dots are padding.

# %%
example = explain.EXAMPLES["stride"]
x2 = minicnn.tensor(example.x).float().reshape(1, 1, 5, 5)
w2 = minicnn.tensor(example.w).float().reshape(1, 1, 3, 3)
explain.explain(nn.functional.conv2d, x2, w2, stride=2, padding=1, cell=(0, 0, 0, 1))

# %%
lesson.compare(
    (
        "stride 2, padding 1",
        ((6, 17, 3), (8, 17, 13), (6, 4, 4)),
        nn.functional.conv2d(x2, w2, stride=2, padding=1)[0, 0],
    ),
    (
        "padding that keeps the size, F = 3, 5, 7",
        (1, 2, 3),
        [p for f in (3, 5, 7) for p in range(5) if side(32, f, 1, p) == 32],
    ),
    ("two layers of 5x5 over 32 pixels", (32, 28, 24), (32, side(32, 5), side(side(32, 5), 5))),
)

# %% [markdown]
# ## 4. Depth: channels and filters
#
# A colour image has three channels. A filter always has the *full depth* of its input: a filter over 32x32x3 is 5x5x**3**. It gives one map. K filters give K maps, stacked: this is the depth of the next input.
#
# **Predict.** How many numbers are multiplied for one output value? How many weights have ten filters of 5x5 over a colour image, with biases? How large is the output with padding 2?

# %%
conv = nn.Conv2d(3, 10, 5, padding=2)
table = minicnn.summary(conv, (3, 32, 32))

# %%
ten = conv(minicnn.zeros(1, 3, 32, 32))
six = nn.Conv2d(3, 6, 5)(minicnn.zeros(1, 3, 32, 32))
lesson.compare(
    ("numbers in one dot product", 75, conv.weight[0].numel()),
    ("parameters of one filter", 76, conv.weight[0].numel() + 1),
    ("parameters of ten filters", 760, sum(p.numel() for p in conv.parameters())),
    ("output, ten filters, padding 2", (10, 32, 32), tuple(ten.shape[1:])),
    ("output, six filters, no padding", (6, 28, 28), tuple(six.shape[1:])),
    ("then ten filters of 5x5x6", (10, 24, 24), tuple(nn.Conv2d(6, 10, 5)(six).shape[1:])),
)

# %% [markdown]
# ## 5. A convolution is a matrix with many zeros
#
# A fully connected layer multiplies the image, as one long vector, by a matrix. So does a convolution: but each row has the same nine weights (*shared weights*), and everything outside the window is zero (*local connectivity*). **Predict.** The image has 25 pixels, the output 9. How many rows and columns has the matrix, and how many connections?

# %%
found = explain.connections(w, (1, 5, 5))
visualize.local_connectivity(found)

# %%
matrix = minicnn.tensor(found.matrix).float()
by_matrix = (matrix @ x.flatten()).reshape(3, 3)
print("the same as the convolution:", minicnn.allclose(by_matrix, y[0, 0]))
print(
    f"{matrix.numel()} weights if fully connected, {9 * w.numel()} connections here, and {w.numel()} different weights"
)

# %% [markdown]
# ## Exercises
#
# Run the cell as it is: it says what the function must return. Fill it in and run it again: the grader compares it with the kernels of the library, and names the mistake. `minicnn exercise new output_size` writes the same exercise to a file.


# %%
def output_size(size, kernel, stride, padding, dilation):
    raise NotImplementedError  # your code


check(output_size, "output_size")

# %% [markdown]
# More of this kind: `minicnn exercise new conv2d_forward`, then `conv2d_groups` and `receptive_field`. For paper and pencil: `minicnn exercise quiz sizes`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `minicnn.nn.Conv2d(3, 10, 5, padding=2)` | `torch.nn.Conv2d(3, 10, 5, padding=2)`; the arguments, the distribution of the start values and `weight.shape` are the same |
# | `minicnn.nn.functional.conv2d(x, w)` | `torch.nn.functional.conv2d(x, w)` |
# | `nn.Conv2d(..., fit="strict")` | nothing: the last pixels are left out silently |
# | `minicnn.empty(1, 1, 7, 7, device="meta")` | `torch.empty(1, 1, 7, 7, device="meta")` |
# | `minicnn.summary(net, (3, 32, 32))` | `torchsummary.summary(net, (3, 32, 32))`, a package of its own, with fewer columns |
# | `explain.explain`, `visualize.window` | nothing |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How large is the output of a 3x3 convolution with stride 2 and padding 1 over 224 pixels?",
        112,
        side(224, 3, 2, 1),
        "(224 + 2 - 3) / 2 + 1 = 112.5, rounded down",
    ),
    (
        "How many parameters has a layer of ten 5x5 filters over a colour image?",
        760,
        sum(p.numel() for p in conv.parameters()),
        "10 * (5*5*3 + 1)",
    ),
    (
        "Why has a convolution far fewer weights than a fully connected layer of the same sizes?",
        "Each output is connected with its window only, and all outputs use the same weights.",
    ),
)
