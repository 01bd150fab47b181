# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 04 Convolution backwards
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/04_convolution_backwards.ipynb)
#
# **After this notebook you can**
#
# - say where the gradient of a pixel, of a weight and of a bias comes from, and compute it by hand,
# - write the backward pass of a convolution in a few lines of NumPy,
# - check a gradient so that a wrong one cannot pass, and choose the step of the check,
# - explain what a transposed convolution is.
#
# **It builds on** notebook 02 (what a convolution computes), and on the chain rule. Section 2 of notebook 03 helps. It takes about ten seconds of computing, and an hour of thinking.

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
import inspect

import matplotlib.pyplot as plt
import numpy as np

import minicnn
from minicnn import explain, nn, visualize
from minicnn.exercises import check, lesson
from minicnn_kernels import conv2d as algorithms
from minicnn_kernels import geometry

F = nn.functional

# %% [markdown]
# ## 1. The question
#
# Training needs to know: if this weight grows a little, by how much does the loss $L$ grow? This number is the gradient of the weight, $\partial L / \partial w$.
#
# A layer in the middle of a net does not see the loss. It gets one array from the layer after it, the *upstream gradient* $g_y = \partial L / \partial y$: for each of its outputs, how much the loss grows with it. From this it makes three arrays: $g_x$ for the layer before it, and $g_w$ and $g_b$ for its own parameters. We write $g_y$ for $\partial L/\partial y$, and so on.
#
# We take the example of notebook 02, with stride 2 and padding 1, and give each output another upstream gradient:

# %%
example = explain.EXAMPLES["stride"]
x = minicnn.tensor(example.x).float().reshape(1, 1, 5, 5)  # (N, C, H, W)
w = minicnn.tensor(example.w).float().reshape(1, 1, 3, 3)  # (O, C, KH, KW)
gy = minicnn.arange(1.0, 10).reshape(1, 1, 3, 3)  # (N, O, OH, OW), invented
print("w", w[0, 0], "gy", gy[0, 0], sep="\n")
lesson.compare(("stride 2, padding 1", ((6, 17, 3), (8, 17, 13), (6, 4, 4)), F.conv2d(x, w, stride=2, padding=1)[0, 0]))

# %% [markdown]
# ## 2. The gradient of a pixel: who used it?
#
# An output is a sum of products. If pixel $x_{1,1}$ grows by $d$, each output whose window has this pixel grows by $d$ times the weight that lies over it there. And the loss grows by $g_y$ times that, *for each of them*. So the parts add up.
#
# **Predict.** The windows of 3x3 begin at rows and columns -1, 1 and 3. Which of them have the pixel (1, 1)? Which weight lies over it in each? Compute its gradient, from the w and gy printed above.

# %%
explain.explain(F.conv2d, x, w, stride=2, padding=1, grad_cell=(0, 0, 1, 1), grad=gy)

# %%
trace = explain.conv_trace(x, w, stride=2, padding=1, grad=gy)
visualize.window(trace, grad_cell=(0, 0, 1, 1))

# %% [markdown]
# The same for all pixels, in a formula:
#
# $$g_x[p, q] = \sum_{\text{windows } (i,j) \text{ that have } (p,q)} g_y[i, j]\; w[p - iS + P,\; q - jS + P]$$
#
# Not all pixels are used equally often. **Predict.** Here the windows begin at -1, 1, 3. In how many windows is the pixel (0, 0), the pixel (0, 1), the pixel (2, 3)?

# %%
windows = F.conv_transpose2d(minicnn.ones(1, 1, 3, 3), minicnn.ones(1, 1, 3, 3), stride=2, padding=1)
visualize.number_grid(windows[0])

# %% [markdown]
# (With a filter of ones and $g_y$ of ones, the gradient counts windows.) This pattern will come back in section 6.
#
# ## 3. The gradient of a weight: who used it?
#
# Every output used every weight of its filter. If a weight grows by $d$, each output grows by $d$ times the pixel that was under the weight. **Predict.** Which pixels are under the weight at the top right, (0, 2), as the window moves? How many of its nine places are padding?

# %%
explain.explain(F.conv2d, x, w, stride=2, padding=1, weight_cell=(0, 0, 0, 2), grad=gy)

# %%
visualize.window(trace, weight_cell=(0, 0, 0, 2))

# %% [markdown]
# $$g_w[a, b] = \sum_{i,j} g_y[i, j]\; x[iS - P + a,\; jS - P + b] \qquad\qquad g_b = \sum_{i,j} g_y[i, j]$$
#
# A weight is shared by all places and all images of a batch, so it gets the sum over all of them. This is why a filter learns from every place at once. The bias is added to each output, times 1.
#
# ## 4. The backward pass, in a few lines
#
# Forward: for each window, multiply and add. Backward: visit the same windows; where the forward pass did `y += w * x`, do `gx += w * gy` and `gw += x * gy`. The letters of `einsum` say which axes are summed: n images, o filters, c channels, a and b rows and columns of the filter.


# %%
def backward(gy, x, w, stride, padding):
    height, width = x.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for i, j in np.ndindex(*gy.shape[2:]):
        window = np.s_[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
        gx[window] += np.einsum("no,ocab->ncab", gy[:, :, i, j], w)
        gw += np.einsum("no,ncab->ocab", gy[:, :, i, j], x[window])
    return gx[:, :, padding : padding + height, padding : padding + width], gw, gy.sum((0, 2, 3))


# %% [markdown]
# Now with two images, two channels, three filters that are not square, and random numbers: an example in which all sizes differ finds mistakes that a square one hides. **Predict.** What are the shapes of gx, gw and gb?

# %%
rng = np.random.default_rng(0)
x = rng.standard_normal((2, 2, 6, 5))  # (N, C, H, W)
w, b = rng.standard_normal((3, 2, 3, 2)), rng.standard_normal(3)  # (O, C, KH, KW), (O,)
options = {"stride": 2, "padding": 1}
leaves = [minicnn.tensor(a, requires_grad=True) for a in (x, w, b)]
y = F.conv2d(*leaves, **options)
gy = rng.standard_normal(tuple(y.shape))  # random: section 5 says why
y.backward(minicnn.tensor(gy))  # the library's own backward pass

mine = backward(gy, x, w, **options)
for name, found, leaf in zip(("gx", "gw", "gb"), mine, leaves, strict=True):
    print(name, found.shape, "the same as the library's:", np.allclose(found, leaf.grad.numpy()))

# %% [markdown]
# **Predict.** The forward pass of a layer has a million multiplications. How many has its backward pass? And that of the first layer of a net?

# %%
g = geometry.conv2d(x.shape, w.shape, b.shape, **options)
count = {which: algorithms.direct.multiplications(g, which) for which in ("forward", "gx", "gw")}
print(count, "so backward is", (count["gx"] + count["gw"]) / count["forward"], "times forward")

# %% [markdown]
# Twice: once for $g_x$, once for $g_w$. The first layer needs no $g_x$, as nobody trains the image. (`backward` in the library gets told which of the three are wanted.)
#
# ## 5. Is it right? Finite differences
#
# The definition of a derivative needs no backward pass. Move one number by $h$ in both directions:
#
# $$\frac{\partial L}{\partial w_k} \approx \frac{L(w + h\,e_k) - L(w - h\,e_k)}{2h} \qquad\text{with}\qquad L = \langle g_y, y\rangle = \sum g_y\, y$$
#
# This $L$ has exactly the upstream gradient $g_y$. **Predict.** How many forward passes does this take for all numbers of w? Why does nobody train a net like this?


# %%
def numerical(loss, values, h):
    """The gradient of loss(values), number by number."""
    found = np.zeros_like(values)
    for k in np.ndindex(*values.shape):
        step = np.zeros_like(values)
        step[k] = h
        found[k] = (loss(values + step) - loss(values - step)) / (2 * h)
    return found


def loss(x, w, b):
    tensors = (minicnn.tensor(a) for a in (x, w, b))
    return (F.conv2d(*tensors, **options).numpy() * gy).sum()


of_w = numerical(lambda w: loss(x, w, b), w, 1e-5)
of_x = numerical(lambda x: loss(x, w, b), x, 1e-5)
print("largest differences:", f"gw {abs(of_w - mine[1]).max():.0e}, gx {abs(of_x - mine[0]).max():.0e}")
print(2 * w.size, "forward passes for the weights of this small layer")

# %% [markdown]
# `gradcheck` of the library does this for any function, in float64 and with random upstream gradients. Why random? Many checks on the web use the sum of all outputs as the loss, which means $g_y = 1$ everywhere. Here is a softmax whose backward pass is obviously wrong: it returns zero.
#
# **Predict.** The outputs of a softmax add up to 1. What is the gradient of their sum? Does the check with ones find the mistake?


# %%
class LazySoftmax(minicnn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return F.softmax(x, 1)

    @staticmethod
    def backward(ctx, gy):
        return gy * 0  # wrong


scores = rng.standard_normal((2, 3))
for name, up in (("ones", np.ones((2, 3))), ("random", rng.standard_normal((2, 3)))):
    leaf = minicnn.tensor(scores, requires_grad=True)
    LazySoftmax.apply(leaf).backward(minicnn.tensor(up))
    right = numerical(lambda s, up=up: (F.softmax(minicnn.tensor(s), 1).numpy() * up).sum(), scores, 1e-5)
    print(f"{name:6} accepted: {np.allclose(leaf.grad.numpy(), right, atol=1e-7)}")
print(explain.diagnose(LazySoftmax.apply, minicnn.tensor(scores)))

# %% [markdown]
# With ones, *zero is the right answer*, so the wrong function passes. The same happens to batch normalisation, whose outputs have the mean 0. A random $g_y$ tests all directions.
#
# ### How large should h be?
#
# The difference quotient has two errors. The curve bends: this error is about $h^2$. And numbers are rounded: this one is about $\varepsilon / h$, where $\varepsilon$ is the precision of the type.
#
# **Predict.** Is the smallest $h$ the best? With which type can you check more digits, and how many about?

# %%
steps = 10.0 ** np.arange(-12, 0.5, 0.5)
exact = minicnn.tensor(w, requires_grad=True)
(F.conv2d(minicnn.tensor(x), exact, **options).tanh() * minicnn.tensor(gy)).sum().backward()  # tanh: it bends
exact = exact.grad.numpy()
errors = {}
for kind in (np.float32, np.float64):
    xs, up = minicnn.tensor(x.astype(kind)), gy.astype(kind)

    def bent(values, xs=xs, up=up):
        return (F.conv2d(xs, minicnn.tensor(values), **options).tanh().numpy() * up).sum()

    found = [numerical(bent, w.astype(kind), float(h)) for h in steps]
    errors[kind.__name__] = [np.abs(one - exact).max() / np.abs(exact).max() for one in found]

# %%
figure, axes = plt.subplots(figsize=(6, 3.2))
for name, found in errors.items():
    axes.loglog(steps, np.maximum(found, 1e-16), "o-", markersize=3, label=name)
axes.set(xlabel="step h", ylabel="largest relative error")
axes.legend()
plt.show()

# %%
for name, found in errors.items():
    best = int(np.argmin(found))
    print(f"{name}: best near h = {steps[best]:.0e}, where about {-np.log10(found[best]):.0f} digits are right")

# %% [markdown]
# On the right the bend is the larger error, on the left the rounding; the best $h$ lies between. For central differences it is near $\varepsilon^{1/3}$: about 0.005 in float32, and 6e-6 in float64. In float32 only a few digits can be checked, even for this small layer: a small mistake hides behind the rounding. So gradients are checked in float64.
#
# ## 6. Backward is the transposed matrix
#
# A convolution is linear in x: $y = A x$, with a matrix that is mostly zero (notebook 02). If $y = A x$, then $g_x = A^T g_y$: row $k$ of $A$ says which pixels output $k$ used; column $p$ says which outputs used pixel $p$.
#
# **Predict.** A has 9 rows and 25 columns here. What shape has $A^T$, and which pictures go in and come out?

# %%
x5, w3 = (minicnn.tensor(a).double() for a in (example.x, example.w))
A = minicnn.tensor(explain.connections(w3.reshape(1, 1, 3, 3), (1, 5, 5), **options).matrix).double()
up = minicnn.arange(1.0, 10).double()
back = (A.T @ up).reshape(5, 5)
print(tuple(A.shape), "and back", tuple(A.T.shape))
print("A^T gy is gx of section 2:", np.allclose(back.numpy(), trace.gx[0, 0]))

# %% [markdown]
# This gives a test that needs no differences at all, the *adjoint test*. For any $u$ and $v$ of the right shapes,
#
# $$\langle A u, v\rangle = \langle u, A^T v\rangle$$
#
# Forward on the left, backward on the right, two numbers. In float64 they must agree in about 15 digits:

# %%
u, v = rng.standard_normal(x.shape), rng.standard_normal(gy.shape)
left = (F.conv2d(minicnn.tensor(u), minicnn.tensor(w), **options).numpy() * v).sum()
right = (u * backward(v, u, w, **options)[0]).sum()
print(left, right, f"difference {abs(left - right) / abs(left):.0e}")

# %% [markdown]
# One more thing follows. The map $v \mapsto A^T v$ goes from small to large: from 3x3 to 5x5. As a *layer* it is called **transposed convolution**, and some call it deconvolution. It is the backward pass of a convolution, used forward. **Predict.** Is it the inverse: does it give back the image?

# %%
image = x5.reshape(1, 1, 5, 5)
small = F.conv2d(image, w3.reshape(1, 1, 3, 3), **options)
again = F.conv_transpose2d(small, w3.reshape(1, 1, 3, 3), **options)
print("the shape comes back:", again.shape == image.shape, "  the numbers:", minicnn.allclose(again, image))
transposed = F.conv_transpose2d(up.reshape(1, 1, 3, 3), w3.reshape(1, 1, 3, 3), **options)
print("but it is the backward pass:", minicnn.allclose(transposed[0, 0], back))

# %% [markdown]
# Look again at the counts of section 2: with stride 2 and a filter of 3, neighbouring pixels get 1, 2 or 4 parts. Nets that draw images with transposed convolutions show this pattern as a *checkerboard*. A filter whose side is a multiple of the stride avoids it.
#
# ## 7. Break it on purpose
#
# The best way to trust a check is to see it find mistakes. We take the source of our `backward`, make one edit, and ask `diagnose`. It knows the right gradients of a convolution; where ours differ, it makes the usual mistakes itself, one after the other, and names the one that gives our numbers.
#
# **Predict.** The next cell has five edits, each as (before, after). For each: which of gx, gw and gb becomes wrong?

# %%
edits = [
    ("gx[window] +=", "gx[window] ="),
    ("gw +=", "gw ="),
    ("i, j], w)", "i, j], w[:, :, ::-1, ::-1])"),
    ("gx[:, :, padding : padding + height, padding : padding + width]", "gx[:, :, :height, :width]"),
    ("gy.sum((0, 2, 3))", "gy.mean((0, 2, 3))"),
]


# %%
class Mine(minicnn.autograd.Function):
    source = inspect.getsource(backward)

    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return F.conv2d(x, w, b, **options)

    @staticmethod
    def backward(ctx, gy):
        names = {"np": np}
        exec(Mine.source, names)  # defines the function `backward`
        arrays = (a.detach().numpy() for a in (gy, *ctx.saved_tensors))
        return tuple(minicnn.tensor(np.ascontiguousarray(a)) for a in names["backward"](*arrays, **options))


print("as it is:", explain.diagnose(Mine.apply, leaves, "conv2d", **options))

# %%
original = Mine.source
for before, after in edits:
    assert original.count(before) == 1
    Mine.source = original.replace(before, after)
    found = explain.diagnose(Mine.apply, leaves, "conv2d", **options)
    print(f"{before}  ->  {after}\n  {next(finding for finding in found.findings if not finding.ok)}\n")
Mine.source = original

# %% [markdown]
# All five have run without an error, and with some of them a net would even learn, only worse. `gradcheck` does not know the operation, so it can only say where numbers differ:

# %%
Mine.source = original.replace("gx[window] +=", "gx[window] =")
try:
    minicnn.autograd.gradcheck(Mine.apply, leaves)
except minicnn.autograd.GradcheckError as error:
    print(error)
Mine.source = original
print("mended:", minicnn.autograd.gradcheck(Mine.apply, leaves))

# %% [markdown]
# ## Exercises
#
# Now without looking at section 4, with stride, padding and dilation as pairs. Begin with three nested loops if you like: right is what counts.


# %%
def conv2d_backward(gy, x, w, stride, padding, dilation):
    raise NotImplementedError  # your code


check(conv2d_backward, "conv2d_backward")


# %%
def numerical_gradient(f, x, eps):
    raise NotImplementedError  # your code


check(numerical_gradient, "numerical_gradient")

# %% [markdown]
# More of this kind: `minicnn exercise new conv_transpose2d`, `col2im`, `conv2d_product_backward`, `softmax_backward`. For paper and pencil: `minicnn exercise quiz bugs`. On the command line: `minicnn explain conv --example stride --grad-cell 1,1`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `y.backward(gy)`, `x.grad` | the same |
# | `minicnn.autograd.Function`, `save_for_backward`, `apply` | `torch.autograd.Function`, the same |
# | `minicnn.autograd.gradcheck` | `torch.autograd.gradcheck`; it wants float64, too |
# | `F.conv_transpose2d`, `nn.ConvTranspose2d` | the same names in `torch.nn.functional` and `torch.nn` |
# | `minicnn.nn.grad.conv2d_input`, `conv2d_weight` | `torch.nn.grad.conv2d_input`, `conv2d_weight`: gx and gw as functions |
# | `explain.explain`, `explain.diagnose` | nothing |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "With stride 2, padding 1 and filters of 3x3 over 5x5 pixels: in how many windows is the pixel (1, 1)?",
        4,
        int(windows[0, 0, 1, 1]),
        "those that begin at rows -1 and 1, columns -1 and 1",
    ),
    (
        "How many times the multiplications of the forward pass has the backward pass of a convolution in the middle of a net?",
        2,
        (count["gx"] + count["gw"]) / count["forward"],
        "each product of the forward pass comes back once in gx and once in gw",
    ),
    (
        "Why does the gradient of a weight add over all places and all images?",
        "All of them used this one weight; if it changes, all their outputs change, and the loss gets the sum of these changes.",
    ),
)
