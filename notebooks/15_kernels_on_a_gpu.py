# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 15 Kernels on a GPU
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/15_kernels_on_a_gpu.ipynb)
#
# **After this notebook you can**
#
# - read a convolution in CUDA C++, and say which thread computes what,
# - choose a grid and blocks, with an end that does not fit,
# - use shared memory with barriers, and find a barrier that is missing,
# - say why tiles and neighbouring reads are fast, by counting bytes,
# - move a training to a GPU, compare its numbers, and time it rightly.
#
# **It builds on** notebooks 02 (the convolution) and 03 (its algorithms). It needs no GPU: the kernels run on the CPU, in an emulator, which is slow but finds mistakes. It computes for about half a minute; read it in an hour.

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
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minicnn
import minicnn_kernels
from minicnn import explain, nn, optim
from minicnn.exercises import check, lesson
from minicnn.nn import functional as F
from minicnn.utils.data import DataLoader
from minicnn_kernels.emulated.build import NoCompilerError, compiler
from minicnn_kernels.emulated.cupy import RawModule
from minicnn_kernels.emulated.guards import EmulatedLaunchError
from minicnn_kernels.emulated.raw_module import ORDERS, threads_in_order

minicnn.set_num_threads(1)  # all is small here: two threads would mostly wait for each other

# %% [markdown]
# ## 1. Which device?
#
# A program asks, and falls back to the CPU:

# %%
real = minicnn.cuda.is_available()
print("a GPU that minicnn can use:", real)

try:
    compiler()  # g++, which compiles CUDA C++ for the CPU
    EMULATED = True
    print("kernels in CUDA can run on this CPU")
except NoCompilerError as error:
    EMULATED = False
    print(f"The cells that run kernels in CUDA are skipped here: {error}.")

# %% [markdown]
# Nothing in this notebook is a time of a GPU. An emulator shows *what* a kernel computes, and which mistakes it has. It says nothing about speed. For speed we count bytes and multiplications, which are the same everywhere.
#
# ## 2. One thread, one output
#
# On a CPU, a convolution has loops over images, channels, rows and columns of the output. On a GPU these loops are gone: each output has a *thread* of its own, and thousands of threads run the same function. This is the kernel, from the file that the library runs:

# %%
folder = Path(minicnn_kernels.__file__).parent
source = (folder / "conv2d" / "direct.cu").read_text()
start = source.index("template <typename T>\n__global__ void forward")
print(source[start : source.index("}", start) + 1])

# %% [markdown]
# `thread_number()` is `blockIdx.x * blockDim.x + threadIdx.x`. From it the thread finds its own output $(n, o, i, j)$ by divisions. Then come the three loops that are left: over the channels and the cells of the filter.
#
# **Predict.** The 5x5 image of notebook 02, with one 3x3 filter. Threads come in blocks of 256. How many threads have something to do, and what do the others do?

# %%
x = minicnn.tensor(explain.EXAMPLES["cross"].x).float().reshape(1, 1, 5, 5)
w = minicnn.tensor(explain.EXAMPLES["cross"].w).float().reshape(1, 1, 3, 3)
outputs = F.conv2d(x, w).numel()
print(f"{outputs} threads compute, {256 - outputs} return at once, at the line that begins with `if (at >=`")
if EMULATED:
    with minicnn.use(backend="cuda-emulated", algorithm="direct"):
        y = F.conv2d(x, w)
    print(lesson.compare(("5x5 picture, 3x3 cross", ((10, 11, 12), (13, 13, 12), (9, 9, 11)), y[0, 0])))

# %% [markdown]
# The same numbers as on paper. And for any geometry, on all backends? Each one is compared with plain Python loops.

# %%
minicnn.manual_seed(0)
batch, filters = minicnn.randn(2, 4, 9, 7), minicnn.randn(6, 2, 3, 3)
options = {"stride": 2, "padding": 1, "groups": 2}
with minicnn.use(backend="python", algorithm="direct"):
    expected = F.conv2d(batch, filters, **options)
rows = [("numpy", "direct"), ("numba", "im2col")]
rows += [("cuda-emulated", "direct")] if EMULATED else []
for backend, algorithm in rows:
    with minicnn.use(backend=backend, algorithm=algorithm):
        y = F.conv2d(batch, filters, **options)
    print(f"{backend:14} {algorithm:9} largest difference {(y - expected).abs().max().item():.1e}")

# %% [markdown]
# They agree to about seven digits: that is float32, where another order of additions gives another last digit.
#
# ## 3. Grids, blocks, and an end that does not fit
#
# A kernel is launched as a *grid* of *blocks* of threads. **Predict.** 10 numbers, blocks of 4 threads. How many blocks? How many threads are too many?

# %%
WHO = """
__global__ void who(int* block, int* thread, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  block[i] = blockIdx.x;
  thread[i] = threadIdx.x;
}
"""


def launch(code, name, blocks, threads, *args):
    """Compile a source, and run one of its kernels on NumPy arrays."""
    RawModule(code=code, name_expressions=(name,)).get_function(name)((blocks,), (threads,), args)


n, threads = 10, 4
blocks = -(-n // threads)  # rounded up
print(f"{blocks} blocks, {blocks * threads - n} threads too many")
if EMULATED:
    block, thread = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    launch(WHO, "who", blocks, threads, block, thread, np.int32(n))
    print("block ", block, "\nthread", thread)

# %% [markdown]
# The line `if (i >= n) return;` is the ragged edge. **Predict.** What happens without it?

# %%
if EMULATED:
    try:
        launch(WHO.replace("if (i >= n) return;", ""), "who", blocks, threads, block, thread, np.int32(n))
    except EmulatedLaunchError as error:
        print(error)

# %% [markdown]
# The last threads write behind the end of the array. On a GPU this is often silent: some other array has changed. The emulator puts guards around each array and looks at them after the launch.
#
# Which block computes which output of a convolution? In `direct.cu` the outputs are numbered row by row, map by map. For two maps of 20 x 28 and blocks of 256 threads:

# %%
numbers = np.arange(2 * 20 * 28).reshape(2, 20, 28)  # (O, OH, OW): the thread of each output
figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
for o, ax in enumerate(axes):
    image = ax.imshow(numbers[o] // 256, cmap="viridis", vmin=0, vmax=4)
    ax.set(title=f"output channel {o}", xlabel="column j", ylabel="row i")
figure.colorbar(image, ax=axes, label="block", ticks=range(5), shrink=0.8)
plt.show()
print(f"{-(-numbers.size // 256)} blocks, {-numbers.size % 256} threads of the last one do nothing")

# %% [markdown]
# A block does not care where a row or a map ends: its threads work them out by division. Blocks run in any order and know nothing of each other.
#
# ## 4. Shared memory and barriers
#
# The threads of *one block* have a small memory together, on the chip. One thread can leave a number there for another. But threads run in no fixed order: before one reads, the other must have written. `__syncthreads()` is a *barrier*: nobody goes on until all of the block have arrived.

# %%
REVERSE = """
__global__ void reverse(const float* x, float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
}
"""


def in_all_orders(code):
    """Whether the kernel reverses 64 numbers, with threads in three orders."""
    x = np.arange(64, dtype=np.float32)
    for order in ORDERS:
        y = np.full_like(x, np.nan)
        with threads_in_order(order):
            launch(code, "reverse", 1, 64, x, y)
        halves = np.isnan(y).reshape(2, 32).sum(1).tolist()
        print(f"  threads {order:10} right: {np.array_equal(y, x[::-1])}, NaN in the two halves: {halves}")


if EMULATED:
    print("with the barrier")
    in_all_orders(REVERSE)

# %% [markdown]
# **Predict.** Leave the barrier out, and let the threads run one after the other, from 0 to 63. Which half of y is wrong?

# %%
if EMULATED:
    print("without the barrier")
    in_all_orders(REVERSE.replace("__syncthreads();", ""))

# %% [markdown]
# In ascending order, the threads 0 to 31 read what 63 to 32 have not written yet: the first half is wrong. Of each pair that reads from each other, the one that comes first reads too early, in any order. The emulator fills shared memory with NaN when a block starts, so that this shows; on a GPU there are some numbers or other. There the same kernel may be right a thousand times, and wrong when the machine is busy: that is a *race*. `sanitized("thread")` of the emulator (in `minicnn_kernels.emulated.raw_module`) names the two lines.
#
# ## 5. Why tiles? Count the bytes
#
# Look again at the loop of `direct.cu`: for each multiplication it reads two numbers from memory. **Predict.** A data sheet of one GPU (NVIDIA's H200) says 67 TFLOP/s in float32 and 4.8 TB/s of memory. How many numbers of 4 bytes can it read per second, and how many multiply-adds can it do in the time of one read?

# %%
reads = 4.8e12 / 4  # numbers of float32 per second
multiply_adds = 67e12 / 2  # one multiply-add is two floating-point operations
print(
    f"{reads:.2e} numbers and {multiply_adds:.2e} multiply-adds per second: {multiply_adds / reads:.0f} for each read"
)

# %% [markdown]
# So a kernel that reads two numbers for each multiply-add keeps nearly all multipliers waiting (caches help, but only so far). The remedy: a block computes a *tile* of the result together. Its threads copy the numbers that they need to shared memory, once, and use them many times.
#
# For a tile of $T \times T$ results, a step with $k$ terms reads $2Tk$ numbers and does $T^2 k$ multiply-adds. **Predict.** How many multiply-adds for each number that is read, for T = 64?

# %%
for side in (1, 8, 16, 32, 64):
    k = 16
    read, done = 2 * side * k, side * side * k
    print(
        f"tile {side:2} x {side:2}: {done / read:5.1f} multiply-adds for each number read, {done / (4 * read):6.3f} a byte"
    )

# %% [markdown]
# What can be reached is the smaller of two limits: the multipliers, and what the memory brings times the multiply-adds for each number. This picture is called the *roofline* (here from the data sheet; no GPU was measured).

# %%
each = np.logspace(-1, 3, 200)
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.loglog(each, np.minimum(multiply_adds, reads * each), color="#0072B2")
for side in (1, 8, 16, 32, 64):
    top = min(multiply_adds, reads * side / 2)
    ax.plot(side / 2, top, "o", color="#D55E00")
    ax.annotate(f"tile {side}", (side / 2, top), xytext=(6, -12), textcoords="offset points", fontsize=9)
ax.set(xlabel="multiply-adds for each number read", ylabel="multiply-adds per second, at most")
ax.grid(alpha=0.3)
plt.show()

# %% [markdown]
# A tile of 64 passes what this memory asks for. The library's kernel, [`tile.cuh`](https://github.com/minicnn/minicnn/blob/main/kernels/minicnn_kernels/device/tile.cuh), has tiles of 64 x 64 and 256 threads; each thread keeps 4 x 4 sums in its registers. [docs/gpu.md](https://github.com/minicnn/minicnn/blob/main/docs/gpu.md) draws it.
#
# The same idea in its smallest form: a product of matrices with tiles of 8 x 8, one result for each thread. There are two barriers: no thread multiplies before all have copied, and none copies the next step before all have multiplied.

# %%
TILED = """
__global__ void product(const float* a, const float* b, float* y, int n) {
  __shared__ float left[8][8], right[8][8];
  int j = threadIdx.x % 8, i = threadIdx.x / 8, tiles = n / 8;
  int row = blockIdx.x / tiles * 8 + i, column = blockIdx.x % tiles * 8 + j;
  float sum = 0;
  for (int k = 0; k < n; k += 8) {
    left[i][j] = a[row * n + k + j];
    right[i][j] = b[(k + i) * n + column];
    __syncthreads(); /* all have copied */
    for (int t = 0; t < 8; t++) sum += left[i][t] * right[t][j];
    __syncthreads(); /* all have multiplied */
  }
  y[row * n + column] = sum;
}
"""

# %%
n = 32
a, b = (np.random.default_rng(seed).standard_normal((n, n)).astype(np.float32) for seed in (0, 1))


def error_of(code, order):
    """The largest difference from NumPy's product; NaN counts as infinite."""
    y = np.full((n, n), np.nan, np.float32)
    with threads_in_order(order):
        launch(code, "product", (n // 8) ** 2, 64, a, b, y, np.int32(n))
    return np.abs(np.nan_to_num(y - a @ b, nan=np.inf)).max()


if EMULATED:
    print(" ".join(f"{order}: {error_of(TILED, order):.1e}" for order in ORDERS))

# %% [markdown]
# **Predict.** Leave out the first barrier, then only the second. Which mistake gives NaN (`inf` below), and which gives wrong numbers?

# %%
if EMULATED:
    for which in ("copied", "multiplied"):
        broken = TILED.replace(f"__syncthreads(); /* all have {which} */", "")
        print(f"without 'all have {which}':", " ".join(f"{o}: {error_of(broken, o):.1e}" for o in ORDERS))

# %% [markdown]
# Without the first, numbers are read before they are there. Without the second, a quick thread overwrites what a slow one still needs. Both are wrong here in every order. On a GPU, where 32 threads often go in step, a small test may hide it.
#
# ## 6. Neighbours read neighbours
#
# A GPU runs threads in groups of 32 (a *warp*), which execute the same instruction together. And memory comes in pieces of 32 bytes. If the 32 threads read 32 numbers that lie side by side, that is 128 bytes: 4 pieces. This is *coalesced*. **Predict.** How many pieces if each thread reads 2 numbers further than the one before? 32 further?

# %%
lanes = np.arange(32)
for step in (1, 2, 8, 32):
    pieces = len(np.unique(lanes * step * 4 // 32))
    print(f"step {step:2}: {pieces:2} pieces of 32 bytes, {32 * 4 / (32 * pieces):4.0%} of what comes is used")

# %% [markdown]
# Now read the comment in `direct.cu` again. Neighbouring threads have neighbouring columns $j$. In NCHW memory those pixels lie side by side. In channels-last memory they are $C$ numbers apart, and there neighbouring threads should have neighbouring channels instead. The strides of a tensor say it:

# %%
image = minicnn.empty(1, 64, 56, 56)
for name, y in (("NCHW", image), ("channels last", image.to(memory_format=minicnn.channels_last))):
    pieces = len(np.unique(lanes * y.stride()[3] * 4 // 32))
    print(
        f"{name:13} step of j {y.stride()[3]:2}, step of the channel {y.stride()[1]:4}: {pieces} pieces for 32 columns"
    )

# %% [markdown]
# ## 7. A training on the device
#
# In a program for a GPU only `.to("cuda")` is new, for the net and for each batch. Where there is no GPU, `minicnn.cuda.emulate()` lets NumPy play one: with memory of its own, so that a tensor left on the CPU raises an error as on a GPU. On a real GPU, `backend="auto"` takes the kernels in CUDA. Emulated one by one they would be slow here, so `backend="cupy"` lets NumPy compute what CuPy's functions would.
#
# **Predict.** Two nets with the same start, two steps of training, on the CPU and on the device. Are the losses the same to the last digit?


# %%
def build():
    minicnn.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 10))


def losses(device, steps=2):
    """The losses of some steps of SGD on eight digits, as numbers."""
    net = build().to(device)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    images, classes = next(iter(DataLoader(lesson.images("digits").train, batch_size=8)))
    images, classes = images.to(device), classes.to(device)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), classes)
        loss.backward()
        optimizer.step()
        found.append(loss)
    return [loss.item() for loss in found]  # here the program waits for the device


# %%
on_cpu = losses("cpu")
if not real:
    minicnn.cuda.emulate()
with minicnn.use(backend="auto" if real else "cupy"):
    on_device = losses("cuda")
for step, (one, other) in enumerate(zip(on_cpu, on_device, strict=True), 1):
    print(f"step {step}: CPU {one:.7f}, device {other:.7f}, difference {abs(one - other):.1e}")
assert np.allclose(on_cpu, on_device, rtol=1e-4)

# %%
try:
    build().to("cuda")(minicnn.zeros(1, 1, 8, 8))
except RuntimeError as error:
    print(error)

# %% [markdown]
# The seed gives the same first weights on both, since one stream on the CPU draws all random numbers. On a GPU, sums are added in another order, so the last digits differ, and training makes such differences grow. (With NumPy in its place, they are the same or nearly.) Compare losses with a tolerance, and in float64 if you hunt a bug.
#
# ## 8. Half precision and TF32
#
# | type | bits of the fraction | largest number | one step above 1 |
# |---|---|---|---|
# | float32 | 23 | 3.4e38 | 1.2e-7 |
# | TF32 | 10 | 3.4e38 | 9.8e-4 |
# | float16 (half) | 10 | 65504 | 9.8e-4 |
# | bfloat16 | 7 | 3.4e38 | 7.8e-3 |
#
# TF32 is no type of memory: the numbers are float32, and the tensor cores of a GPU round the *factors* to 10 bits of fraction and add up in float32. minicnn computes in float32 and float64; here NumPy shows what the rounding does.
#
# **Predict.** What is 2048 + 1 in half? What is 300 * 300? How many digits are left of a dot product of 1000 terms?

# %%
half = np.float16
with np.errstate(over="ignore"):
    print("2048 + 1 =", int(half(2048) + half(1)), "   300 * 300 =", half(300) * half(300))


# %%


def tf32(x):
    """Round float32 to 10 bits of fraction, to nearest."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


rng = np.random.default_rng(0)
left, right = rng.random((2, 200, 1000), np.float32)
exact = (left.astype(np.float64) * right).sum(1)


def worst(y):
    return np.abs(y / exact - 1).max()


steps = np.zeros(200, half)
for u, v in zip(left.T.astype(half), right.T.astype(half), strict=True):
    steps = steps + u * v  # every product and every sum is rounded to half
for name, y in (
    ("float32", (left * right).sum(1)),
    ("TF32 factors, float32 sums", (tf32(left) * tf32(right)).sum(1)),
    ("half factors, float32 sums", (left.astype(half).astype(np.float32) * right.astype(half)).sum(1)),
    ("half factors, half sums", steps.astype(np.float64)),
):
    print(f"{name:27} largest relative error {worst(y):.1e}")

# %%
lesson.compare(
    ("half: 2048 + 1", 2048, float(half(2048) + half(1))),
    ("largest number of half", 65504, float(np.finfo(half).max)),
    ("step above 1: float32", 2.0**-23, float(np.finfo(np.float32).eps)),
    ("step above 1: half, and TF32", 2.0**-10, float(np.finfo(half).eps)),
    ("TF32 keeps 1 + 2^-10, and not 1 + 2^-12", (1 + 2.0**-10, 1), tf32(np.array([1 + 2.0**-10, 1 + 2.0**-12]))),
)

# %% [markdown]
# Rounded factors cost a few digits, and errors of many terms partly cancel. Half *sums* are another matter: when the sum is large, a small term is less than a step, and is lost. So units for half precision add up in float32. In half, gradients below 3e-8 become 0, which is why one multiplies the loss by a large number and divides the gradients by it again (*loss scaling*). bfloat16 has the range of float32 and does not need that.
#
# ## 9. How one times on a real GPU
#
# The program only puts work into a *queue* and goes on. A clock around a call measures the queueing, not the work. So:
#
# 1. run it a few times first: kernels are compiled at the first call,
# 2. `synchronize()` before the clock is started, and before it is stopped,
# 3. repeat, and give the median or the best, with the sizes, the type, and the name of the GPU,
# 4. compare with the limits of this GPU: bytes per second, multiply-adds per second.
#
# ```python
# import time
#
# def seconds(call, repeats=20):
#     for _ in range(3):
#         call()
#     times = []
#     for _ in range(repeats):
#         minicnn.cuda.synchronize()
#         start = time.perf_counter()
#         call()
#         minicnn.cuda.synchronize()
#         times.append(time.perf_counter() - start)
#     return sorted(times)[len(times) // 2]
# ```
#
# `python benchmarks/gpu.py` measures all kernels in this way. On an emulated GPU such times say nothing, so none is printed here. And do not print the loss in each step: `loss.item()` waits for the device (the last line of `losses` above waits once for all steps).
#
# ## Exercises
#
# The kernel of section 2, with the loops that the grid replaces:


# %%
def conv2d_forward(x, w, b, stride, padding, dilation):
    raise NotImplementedError  # your code


check(conv2d_forward, "conv2d_forward")

# %% [markdown]
# More of this kind: `minicnn exercise new im2col`, `minicnn exercise new conv2d_product` (the product that the tiles compute). For paper and pencil: `minicnn exercise quiz costs`. A kernel of your own as a file: "A kernel of your own" in [docs/gpu.md](https://github.com/minicnn/minicnn/blob/main/docs/gpu.md).
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `minicnn.cuda.is_available()`, `net.to("cuda")` | the same: `torch.cuda.is_available()` |
# | `minicnn.cuda.synchronize()`, `minicnn.cuda.Event` | the same: `torch.cuda` |
# | `RawModule(code=..., name_expressions=...)` | CuPy's `cupy.RawModule`, the same class on a GPU; `torch.utils.cpp_extension.load_inline` compiles for tensors |
# | `minicnn.use(backend="cuda-emulated")`, `minicnn.cuda.emulate()` | nothing |
# | `threads_in_order`, `sanitized("thread")` | nothing; NVIDIA's `compute-sanitizer --tool racecheck`, on a GPU |
# | float32 and float64 only | `torch.autocast("cuda")`, `torch.amp.GradScaler`; TF32: `torch.backends.cuda.matmul.allow_tf32`, off at first, `torch.backends.cudnn.allow_tf32` for convolutions, on at first |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "A result has 1000 numbers, blocks have 256 threads. How many threads return at once?",
        24,
        -(-1000 // 256) * 256 - 1000,
        "4 blocks, 1024 threads",
    ),
    (
        "How many multiply-adds are done for each number read, in a tile of 64 x 64?",
        32,
        64 * 64 * 16 / (2 * 64 * 16),
        "T / 2",
    ),
    (
        "A kernel with shared memory is right on your GPU in every test. Why may a barrier be missing all the same?",
        "Threads of a warp often run in step, so that the order that fails does not come up. Run it with other orders of "
        "threads, or with a tool that finds races.",
    ),
)
