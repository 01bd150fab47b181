# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 03 Every algorithm
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/03_every_algorithm.ipynb)
#
# **After this notebook you can**
#
# - say what each of eight algorithms of a convolution saves,
# - write four of them in a few lines, above all the one matrix product (im2col), and its way back,
# - count multiplications and bytes before anything runs,
# - compare algorithms fairly: time, memory, multiplications, error.
#
# **It builds on** notebook 02: what a convolution computes. It takes about 15 seconds of computing (the first time on a machine longer, as kernels are compiled), and an hour of thinking. All times are those of your machine.

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
from minicnn import nn, visualize
from minicnn.bench import compare_algorithms
from minicnn.bench.layers import LAYERS
from minicnn.bench.timing import gemm_peak, seconds_of
from minicnn.exercises import check, lesson
from minicnn_kernels import conv2d as algorithms
from minicnn_kernels import geometry

F = nn.functional

# %% [markdown]
# ## 1. The definition: seven loops
#
# $$y_{n,o,i,j} = \sum_{c}\sum_{a}\sum_{b} w_{o,c,a,b}\; x_{n,\,c,\,i+a,\,j+b}$$
#
# Four loops say which output, three say which products. Here they are. (`x` gets its padding first, a ring of zeros.)


# %%
def seven_loops(x, w, padding):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (images, channels, height, width), (filters, _, kh, kw) = x.shape, w.shape
    y = np.zeros((images, filters, height - kh + 1, width - kw + 1))
    for n in range(images):
        for o in range(filters):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    for c in range(channels):
                        for a in range(kh):
                            for b in range(kw):
                                y[n, o, i, j] += w[o, c, a, b] * x[n, c, i + a, j + b]
    return y


rng = np.random.default_rng(0)
x, w = rng.standard_normal((1, 3, 8, 8)), rng.standard_normal((4, 3, 3, 3))
y = seven_loops(x, w, padding=1)
print(y.shape)

# %% [markdown]
# **Predict.** How many multiplications was that? (An output of 4x8x8; a window of 3x3x3.) And a layer from the middle of VGG-16, 256 to 256 channels on 56x56 pixels, two images: how long would the seven loops take? Seconds, minutes, or hours?

# %%
small = geometry.conv2d(x.shape, w.shape, padding=1)  # all sizes of a convolution, without its numbers
layer = LAYERS["vgg16.conv3_2"]
large = geometry.conv2d(layer.x, layer.w, padding=layer.padding)
products, many = (algorithms.direct.multiplications(g) for g in (small, large))
seconds = seconds_of(lambda: seven_loops(x, w, 1))
print(f"{products:,} multiplications; in VGG-16's layer {many:,}")
print(f"at this speed that one layer takes {seconds / products * many / 3600:.1f} hours")

# %% [markdown]
# The library has these loops, too: backend `python`, algorithm `direct`. It is the definition, and everything else is compared with it. With `minicnn.use` you choose what runs:

# %%
xt, wt = minicnn.tensor(x), minicnn.tensor(w)
with minicnn.use(backend="python", algorithm="direct"):
    loops = F.conv2d(xt, wt, padding=1)
print("my loops and the library's:", np.allclose(y, loops.numpy()))
print("and what it takes by itself:", np.allclose(y, F.conv2d(xt, wt, padding=1).numpy()))

# %% [markdown]
# ## 2. im2col: one matrix product
#
# Computers are very good at one thing, the product of two matrices. Libraries for it (BLAS) have been made faster for forty years. So: copy every window into a *column* of a matrix. Then all outputs are one product, rows of weights times columns of pixels.
#
# **Predict.** An image of 4x4 pixels, a filter of 3x3, no padding. How many rows and columns has the matrix? How often does pixel 5 (row 1, column 1) occur in it, and how often pixel 0?

# %%
numbers = minicnn.arange(16.0).reshape(1, 1, 4, 4)
columns = F.unfold(numbers, 3)[0]  # (N, C*KH*KW, OH*OW) -> (9, 4): four windows, each a column
print(numbers[0, 0])
visualize.number_grid(columns)

# %%
print([int((columns == pixel).sum()) for pixel in (5, 0)], "times: pixel 5 is in every window, pixel 0 in one")
col = F.unfold(xt, 3, padding=1)[0]  # (27, 64): 3*3*3 numbers in a window, 8*8 windows
product = wt.reshape(4, 27) @ col  # (O, K) @ (K, windows) = (4, 64)
print("the same as the loops:", np.allclose(y[0], product.reshape(4, 8, 8).numpy()))

# %% [markdown]
# There are exactly as many multiplications as before, but they run in the best order. The price is memory. **Predict.** How many times larger than the image are its columns, with 3x3 filters, stride 1, and padding that keeps the size? With 11x11?

# %%
for kernel in (3, 11):
    copied = F.unfold(xt, kernel, padding=kernel // 2)
    print(f"{kernel}x{kernel}: {copied.numel() / xt.numel():.0f} times as many numbers")

# %% [markdown]
# The way back is **col2im** (`fold`): each column is *added* to its window. It is not the inverse: a pixel that was copied nine times gets nine parts. The gradient of a convolution needs just this sum (notebook 04). Of an image of ones, it counts the windows of each pixel:

# %%
ones = minicnn.ones(1, 1, 5, 5)
counts = F.fold(F.unfold(ones, 3, padding=1), (5, 5), 3, padding=1)  # (1, 9, 25) -> (1, 1, 5, 5)
print(counts[0, 0])

# %% [markdown]
# ## 3. Winograd: fewer multiplications
#
# So far we computed all products of the definition. S. Winograd showed in 1980 that this many are not needed. Two neighbouring outputs of a filter of three cost six products:
#
# $$y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2 \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2$$
#
# **Predict.** The next cell does it with fewer. How many of its multiplications (`*`) have to be done again for every new place in the image? (What depends on the filter `g` only is done once for all images.)

# %%
d, g = rng.standard_normal(4), rng.standard_normal(3)
u = [g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]]  # once for each filter
m = [(d[0] - d[2]) * u[0], (d[1] + d[2]) * u[1], (d[2] - d[1]) * u[2], (d[1] - d[3]) * u[3]]
winograd = [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
print(np.allclose(winograd, [d[:3] @ g, d[1:] @ g]), f"{len(m)} products instead of 6")

# %% [markdown]
# In two dimensions one does the same along columns and along rows. A tile of 2x2 outputs needs 4x4 pixels $d$:
#
# $$Y = A^T\left[(G\,g\,G^T)\odot(B^T d\,B)\right]A$$
#
# $\odot$ multiplies number by number. $B^T$ and $A^T$ contain only 0, 1 and -1, so they cost additions. **Predict.** How many products has $\odot$ for one tile, and how many has the definition?

# %%
BT, G, AT = algorithms.winograd.MATRICES[2]
d, g = rng.standard_normal((4, 4)), rng.standard_normal((3, 3))
inner = (G @ g @ G.T) * (BT @ d @ BT.T)  # (4, 4): the only products
tile = AT @ inner @ AT.T  # (2, 2)
print(np.allclose(tile, seven_loops(d[None, None], g[None, None], 0)[0, 0]), f"{inner.size} instead of {4 * 9}")
BT

# %% [markdown]
# So there are 36 / 16 = 2.25 times fewer. Larger tiles save more: 4x4 outputs take 36 products instead of 144, so four times fewer. But then the matrices contain fractions, and rounding errors grow. The library takes such a tile for 3x3 filters with stride 1, and computes by the definition where a tile would lose too many digits.
#
# ## 4. FFT: the size of the filter does not matter
#
# The convolution theorem: transform image and filter, multiply frequency by frequency, transform back.
#
# $$\mathcal F(y) = \overline{\mathcal F(w)}\cdot\mathcal F(x)$$
#
# The bar (the complex conjugate) is there because our convolution does not flip the filter.

# %%
image, kernel = rng.standard_normal((32, 32)), rng.standard_normal((9, 9))
product = np.conj(np.fft.rfft2(kernel, image.shape)) * np.fft.rfft2(image)  # the filter is padded to 32x32
whole = np.fft.irfft2(product, image.shape)  # on a circle: windows go on at the other side
print(np.allclose(whole[:24, :24], seven_loops(image[None, None], kernel[None, None], 0)[0, 0]))

# %% [markdown]
# **Predict.** The transforms cost something, whatever the filter. From which filter size on needs the FFT fewer multiplications than the definition: 3x3, 7x7 or 15x15?

# %%
sizes = [1, 3, 5, 7, 9, 11, 13, 15]
shapes = [geometry.conv2d((4, 32, 28, 28), (32, 32, k, k), padding=k // 2) for k in sizes]
definition = [algorithms.direct.multiplications(g) / 1e6 for g in shapes]
fourier = [algorithms.fft.multiplications(g) / 1e6 for g in shapes]
fewer = algorithms.winograd.multiplications(shapes[1]) / 1e6

figure, axes = plt.subplots(figsize=(6, 3.2))
axes.plot(sizes, definition, "o-", label="definition, im2col and others")
axes.plot(sizes, fourier, "s-", label="FFT")
axes.plot(3, fewer, "D", label="Winograd, 3x3 only")
axes.set(xlabel="side of the filter", ylabel="millions of multiplications", yscale="log", xticks=sizes)
axes.set_title("4 images, 32 to 32 channels, 28x28", fontsize=10)
axes.legend(fontsize=8)
plt.show()

# %%
first = next(k for k, a, b in zip(sizes, definition, fourier, strict=True) if b < a)
print(f"fewer from {first}x{first} on; at 15x15 {definition[-1] / fourier[-1]:.0f} times fewer")
print(f"at 3x3: definition {definition[1]:.1f}, FFT {fourier[1]:.1f}, Winograd {fewer:.1f} million")

# %% [markdown]
# ## 5. The same products, less memory traffic
#
# The other algorithms do not save a single multiplication. They save *memory*: to fetch a number from memory takes as long as many multiplications.
#
# | algorithm | idea |
# |---|---|
# | `implicit` | im2col, but a few columns at a time, made where they are needed |
# | `registers` | a tile of outputs stays in the registers of the processor until its sums are complete |
# | `pointwise` | for 1x1 filters only: you find its idea yourself, below |
# | `depthwise` | each channel has its own filter, so nothing is summed over channels |
#
# **Predict.** What are the columns of im2col for a filter of 1x1? How much has to be copied?

# %%
print("the columns are x itself:", minicnn.equal(F.unfold(xt, 1), xt.reshape(1, 3, 64)))  # (N, C, H*W)

# %% [markdown]
# So `pointwise` copies nothing: a 1x1 convolution is a matrix product already. This is one reason why many nets have 1x1 convolutions.
#
# ## 6. All of them on one layer
#
# **Predict.** A layer with 3x3 filters, 32 to 32 channels, 4 images of 28x28. Which algorithm is the fastest on your machine? Which one needs most memory, and which has the largest error?

# %%
shapes = (4, 32, 28, 28), (32, 32, 3, 3)
fast = ["numpy", "numba"]  # "python" would take a minute or more for each call
found = compare_algorithms(*shapes, padding=1, backward=False, seconds=3, backends=fast)
found

# %%
visualize.algorithms(found)

# %% [markdown]
# Times differ from machine to machine, and when others use it, from run to run. What is the same everywhere can be checked:

# %%
rows = {(row.algorithm, row.backend): row for row in found.rows}
counted = {row.algorithm: row.multiplications for row in found.rows}
assert counted["direct"] == counted["im2col"] == counted["implicit"] == counted["registers"] == 4 * counted["winograd"]
assert all(row.error < 1e-5 for row in found.rows)  # float32 has about seven digits

pixels = 4 * 32 * 28 * 28 * 4  # images, channels, height, width, bytes
print(f"x has {pixels / 2**20:.2f} MiB, its columns {9 * pixels / 2**20:.2f} MiB")
print(f"im2col in NumPy needs {rows['im2col', 'numpy'].workspace / 2**20:.2f} MiB of scratch memory,")
print(f"compiled, band by band, {rows['im2col', 'numba'].workspace / 2**20:.2f} MiB")
slower = rows["fft", "numpy"].seconds / rows["im2col", "numpy"].seconds
print(
    f"the FFT has {counted['fft'] / counted['im2col']:.2f} times the multiplications of im2col, and takes {slower:.1f} times as long"
)
fastest, most = found.best(), max(found.rows, key=lambda row: row.error)
print(f"fastest here: {fastest.algorithm} ({fastest.backend}); largest error: {most.algorithm}, {most.error:.0e}")

# %% [markdown]
# The number of multiplications alone does not decide. They must also come in an order that the processor likes: numbers side by side in memory, each used many times while it is near. The row `direct`, `numpy` shows it: it has all products of the definition, but takes one cell of the filter at a time, for all pixels at once, which is nine matrix products. `direct`, `numba` adds row by row: short loops, in which each number that was fetched is used once.
#
# The library's own choice, `auto`, is marked by `*`. It does not measure: a function, `rule`, decides by the geometry alone, so that a program computes the same on every run. It was written after many measurements.
#
# **Predict.** Which of the eight would you take for 1x1 filters, for the first layer of LeNet-5 with one channel, for 11x11 with stride 4?

# %%
names = [
    "lenet5.conv1",
    "resnet20.layer1",
    "vgg16.conv3_2",
    "alexnet.conv1",
    "mobilenet.pointwise",
    "mobilenet.depthwise",
]
for name in names:
    layer = LAYERS[name]
    g = geometry.conv2d(layer.x, layer.w, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    able = [
        a for a in counted | {"pointwise": 0, "depthwise": 0} if a not in algorithms.LIMITS or algorithms.LIMITS[a](g)
    ]
    print(f"{name:20} {algorithms.rule(g, '', False, np.float32):10} of {', '.join(able)}")

# %% [markdown]
# Why not always Winograd, which has the fewest products? It can do 3x3 with stride 1 only; and with few channels, as in the first layers of ResNet-20, `registers` is faster, as Winograd's matrix products are small there. Why never the FFT? With small filters it is slower, as you have seen, and its error in each output is relative to the largest pixel of the *whole* image, and one NaN fills the image. It runs if you name it.
#
# ## 7. How fast could it be?
#
# A processor can do so many operations in a second, and no more. We measure this peak with a large matrix product; if an algorithm has done more, the peak is at least that. Multiplication and addition count as two operations (FLOPs), and the definition of our layer has $2 \cdot N \cdot O \cdot OH \cdot OW \cdot C \cdot KH \cdot KW$ of them. Divided by the peak, this is a *floor* for the time.
#
# **Predict.** How near to the floor is the fastest one? Can an algorithm be *below* it?

# %%
flops = 2 * counted["direct"]
honest = [row.gflops * 1e9 for row in found.rows if row.multiplications == counted["direct"]]
peak = max(gemm_peak(1024, 40), *honest)  # FLOP/s
print(f"peak {peak / 1e9:.0f} GFLOP/s, so the floor is {flops / peak * 1e3:.2f} ms")
for row in sorted(found.rows, key=lambda row: row.seconds)[:4]:
    print(
        f"{row.algorithm:10} {row.backend:6} {row.seconds * 1e3:6.2f} ms, {row.seconds * peak / flops:4.1f} times the floor"
    )

# %% [markdown]
# With the products of the definition nobody gets below 1. Winograd can: it has four times fewer products, so its own floor is four times lower, and it pays with its transforms.
#
# The products that slides count are those of the definition, whatever runs. In an Inception module on 28x28 pixels:


# %%
def count(out, kernel, channels=256):
    """Multiplications of a layer on 28x28 pixels that keeps the size: by the definition."""
    return algorithms.direct.multiplications(
        geometry.conv2d((1, channels, 28, 28), (out, channels, kernel, kernel), padding=kernel // 2)
    )


three = geometry.conv2d((1, 256, 28, 28), (192, 256, 3, 3), padding=1)
print(f"the 3x3 layer by Winograd: {algorithms.winograd.multiplications(three):,}")
lesson.compare(
    ("1x1, 256 to 128 channels", 25_690_112, count(128, 1)),
    ("3x3, 256 to 192", 346_816_512, count(192, 3)),
    ("5x5, 256 to 96", 481_689_600, count(96, 5)),
    ("the three together", "854 M", count(128, 1) + count(192, 3) + count(96, 5)),
)

# %% [markdown]
# ## Exercises
#
# The two halves of section 2. First the columns, then the product.


# %%
def im2col(x, kernel, stride, padding, dilation):
    raise NotImplementedError  # your code


check(im2col, "im2col")


# %%
def conv2d_product(col, w, b, size):
    raise NotImplementedError  # your code


check(conv2d_product, "conv2d_product")

# %% [markdown]
# More of this kind: `minicnn exercise new col2im`, `conv2d_product_backward`, `depthwise_conv2d`. For paper and pencil: `minicnn exercise quiz costs`. And on the command line: `minicnn bench conv --layer alexnet.conv2 --forward` compares all algorithms on a layer of AlexNet, and `minicnn bench conv --x 4x32x28x28 --w 32x32x11x11 --padding 5` shows the FFT where it is good.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `F.unfold`, `F.fold` (im2col, col2im) | `torch.nn.functional.unfold`, `torch.nn.functional.fold` |
# | `minicnn.use(algorithm="im2col")` | nothing: the libraries below PyTorch (oneDNN, cuDNN) choose |
# | `auto`, a rule that reads the geometry | on a GPU, `torch.backends.cudnn.benchmark = True` lets cuDNN measure and choose |
# | `minicnn.use(backend="python")` | nothing: the loops are compiled |
# | `compare_algorithms`, `minicnn bench conv` | nothing; `torch.utils.benchmark.Timer` measures a time |
# | `x.to(memory_format=minicnn.channels_last)` | `x.to(memory_format=torch.channels_last)` |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How many numbers have the columns of im2col of a batch of 8 images 16x32x32, 3x3 filters, padding 1?",
        1_179_648,
        F.unfold(minicnn.zeros(8, 16, 32, 32), 3, padding=1).numel(),
        "8 * (16*3*3) * (32*32), nine times the images",
    ),
    (
        "How many multiplications per channel needs a tile of 2x2 outputs with 3x3 filters by Winograd?",
        16,
        inner.size,
        "one for each number of the transformed 4x4 tile; the definition has 36",
    ),
    (
        "im2col does not save one multiplication. Why is it so much faster than seven loops?",
        "All sums become one matrix product, which runs compiled, in an order that uses each number often while it is in the cache.",
    ),
)
