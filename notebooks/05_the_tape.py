# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 05 The tape
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/05_the_tape.ipynb)
#
# **After this notebook you can**
#
# - follow a gradient back through a formula, by hand,
# - write a tape: automatic differentiation for arrays, in less than 100 lines,
# - train a net with it,
# - say what a library's tape does more, and which mistakes it saves you from.
#
# **It builds on** notebook 04: each layer has a backward pass. It takes about ten seconds of computing, and an hour of thinking.

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
import gc
import heapq
import itertools
import tracemalloc

import numpy as np

import minicnn
from minicnn import explain, nn, visualize
from minicnn.exercises import check, lesson
from minicnn.nn import functional as F

# %% [markdown]
# ## 1. Backwards through a formula
#
# A formula is computed in steps. Take $f = (x + y)\, z$ with $x = -2$, $y = 5$, $z = -4$. The first step is $q = x + y = 3$, the second is $f = q\,z = -12$.
#
# The *gradient* of a number says how much $f$ changes if this number grows a little. The chain rule goes from the end to the start: if the gradient of a result is $g$, then
#
# - a sum sends $g$ to both of its arguments,
# - a product sends to each argument $g$ times the *other* argument.
#
# **Predict.** The gradient of $f$ by itself is 1. What are the gradients of $z$, $q$, $x$ and $y$? Use a pencil.

# %%
x, y, z = (minicnn.tensor(value, requires_grad=True) for value in (-2.0, 5.0, -4.0))
visualize.graph(lambda: (x + y) * z).figure()

# %% [markdown]
# The numbers go down the picture, and the gradients come back up, in orange; `step` counts on this way back. The box of the product had to keep its two arguments (`saved`): its gradients are made of them.
#
# **Predict.** Now one number is used twice: $(a\,b + c)\, a$ with $a = 2$, $b = -3$, $c = 10$. The last product sends $ab + c = 4$ to $a$. Is 4 the gradient of $a$?

# %%
a, b, c = (minicnn.tensor(value, requires_grad=True) for value in (2.0, -3.0, 10.0))
visualize.graph(lambda: (a * b + c) * a).figure()

# %% [markdown]
# No. A second part comes in step 3, through the other use: $4 + (-6) = -2$. **Gradients of one number add.** And so a number may send its gradient on only when all parts have arrived. This is the only difficulty of a tape: the order.
#
# ## 2. The tape
#
# Our tensor is an array that remembers three things: its `parents`, the tensors that it was computed from; `back`, a function that takes its gradient `gy`, and returns the gradient of each parent; and a `number` that counts all tensors.


# %%
class Tensor:
    """An array that knows how it was made."""

    numbers = itertools.count()

    def __init__(self, data, parents=(), back=lambda gy: ()):
        self.data, self.grad = np.asarray(data, dtype=np.float64), None
        self.parents, self.back, self.number = parents, back, next(Tensor.numbers)

    def __add__(self, other):
        other = as_tensor(other)
        return Tensor(self.data + other.data, (self, other), lambda gy: (gy, gy))

    def __mul__(self, other):
        other = as_tensor(other)
        return Tensor(self.data * other.data, (self, other), lambda gy: (gy * other.data, gy * self.data))

    __radd__, __rmul__ = __add__, __mul__  # 1 + a, 2 * a


# %% [markdown]
# Each operation is two lines: the value, and the way back. For a matrix product $Y = AB$ the way back is $G_A = G_Y B^\top$ and $G_B = A^\top G_Y$. ReLU lets the gradient pass where its input was positive. A sum gives its gradient to all the numbers that were added.


# %%
def as_tensor(value):
    return value if isinstance(value, Tensor) else Tensor(value)


def matmul(a, b):
    """(N, D) @ (D, K) -> (N, K)"""
    return Tensor(a.data @ b.data, (a, b), lambda gy: (gy @ b.data.T, a.data.T @ gy))


def relu(x):
    return Tensor(np.maximum(x.data, 0), (x,), lambda gy: (gy * (x.data > 0),))


def total(x):
    return Tensor(x.data.sum(), (x,), lambda gy: (np.full(x.data.shape, gy),))


def mean(x):
    return total(x) * (1 / x.data.size)


# %% [markdown]
# The loss of a classifier is the cross-entropy: minus the logarithm of the softmax of the right class. As one operation its way back is short: softmax minus one-hot, divided by the number of images.


# %%
def cross_entropy(scores, labels):
    """The mean of -log softmax(scores)[label]; scores (N, K), labels (N,)."""
    rows = np.arange(len(labels))
    shifted = scores.data - scores.data.max(axis=1, keepdims=True)  # exp cannot overflow now
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (N, K)

    def back(gy):
        gx = np.exp(log_p)
        gx[rows, labels] -= 1
        return (gy * gx / len(labels),)

    return Tensor(-log_p[rows, labels].mean(), (scores,), back)


# %% [markdown]
# NumPy *broadcasts*: in `(32, 10) + (10,)` the bias is used by all 32 rows.
#
# **Predict.** The gradient that comes back has the shape (32, 10). The bias has ten numbers. What has to be done with the 32 rows?


# %%
def unbroadcast(gradient, shape):
    """Add up a gradient over the axes along which an array of this shape was repeated."""
    in_front = tuple(range(gradient.ndim - len(shape)))
    gradient = gradient.sum(axis=in_front)  # now it has as many axes as the array
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return gradient.sum(axis=repeated, keepdims=True)


bias, rows = Tensor(np.zeros(10)), np.ones((32, 10))
print(unbroadcast(rows, bias.data.shape))

# %% [markdown]
# Each bias was used 32 times, and gradients of one number add: the rows are added up. The backward pass will call this function for all operations, so no operation needs its own code for it.
#
# Now the order. A tensor is always made after its parents, so its number is larger. **If the largest number goes first, each tensor has all parts of its gradient when its turn comes.** A heap gives us the largest number; `-number` because Python's heap gives the smallest.


# %%
def backward(result):
    """Set `.grad` of all tensors that the result was computed from; a gradient that is there is added to."""
    result.grad = np.ones_like(result.data)
    heap, seen = [(-result.number, result)], {result.number}
    while heap:
        _, tensor = heapq.heappop(heap)
        for parent, gx in zip(tensor.parents, tensor.back(tensor.grad), strict=True):
            gx = unbroadcast(gx, parent.data.shape)
            parent.grad = gx if parent.grad is None else parent.grad + gx
            if parent.number not in seen:
                seen.add(parent.number)
                heapq.heappush(heap, (-parent.number, parent))


# %% [markdown]
# That is all: about 50 lines. The formula from above:

# %%
a, b, c = Tensor(2.0), Tensor(-3.0), Tensor(10.0)
backward((a * b + c) * a)
lesson.compare(("gradients of a, b and c", (-2, 4, 2), tuple(tensor.grad for tensor in (a, b, c))), column="by hand")

# %% [markdown]
# ## 3. Train a net with it
#
# The bundled digits have 8x8 pixels, 64 numbers each. The net has one hidden layer of 32 units.

# %%
digits = lesson.images("digits")
x_train, x_test = (np.asarray(part.data).reshape(-1, 64) / 255 for part in (digits.train, digits.test))  # (N, 64)
t_train, t_test = (np.asarray(part.targets) for part in (digits.train, digits.test))
print(digits)
rng = np.random.default_rng(0)
start = [rng.normal(0, (2 / 64) ** 0.5, (64, 32)), np.zeros(32), rng.normal(0, (2 / 32) ** 0.5, (32, 10)), np.zeros(10)]


def net(x, w1, b1, w2, b2):
    return matmul(relu(matmul(Tensor(x), w1) + b1), w2) + b2  # (N, 64) -> (N, 32) -> (N, 10)


# %%
weights = [Tensor(w.copy()) for w in start]
for epoch in range(1, 31):
    for batch in np.array_split(rng.permutation(len(x_train)), 45):
        for w in weights:
            w.grad = None
        loss = cross_entropy(net(x_train[batch], *weights), t_train[batch])
        backward(loss)
        for w in weights:
            w.data -= 0.2 * w.grad
    if epoch in (1, 3, 10, 30):
        right = (net(x_test, *weights).data.argmax(axis=1) == t_test).mean()
        print(f"epoch {epoch:2}: loss of the last batch {float(loss.data):.3f}, test accuracy {right:.1%}")

# %% [markdown]
# It learns. But a net also learns with gradients that are a little wrong. So we compare: the same start, the same images, our gradients and those of minicnn, in float64.

# %%
ours = [Tensor(w.copy()) for w in start]
theirs = [minicnn.tensor(w.copy(), requires_grad=True) for w in start]
backward(cross_entropy(net(x_train[:64], *ours), t_train[:64]))

w1, b1, w2, b2 = theirs
hidden = F.relu(minicnn.tensor(x_train[:64]) @ w1 + b1)
F.cross_entropy(hidden @ w2 + b2, minicnn.tensor(t_train[:64])).backward()
for name, our, their in zip(("w1", "b1", "w2", "b2"), ours, theirs, strict=True):
    difference = np.abs(our.grad - their.grad.numpy()).max()
    print(
        f"{name}: largest gradient {np.abs(our.grad).max():.3f}, largest difference below 1e-12: {difference < 1e-12}"
    )

# %% [markdown]
# ## 4. The tape of minicnn, drawn
#
# `minicnn` records in the same way: each operation points to where its inputs came from, and has a number. Here is the tape of a small net; frames are modules.

# %%
minicnn.manual_seed(0)
small = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
batch, classes = minicnn.tensor(x_train[:64]).float(), minicnn.tensor(t_train[:64])
tape = explain.recorded(lambda: F.cross_entropy(small(batch), classes), small)
visualize.graph(tape).figure()

# %% [markdown]
# `explain.recorded` gives the same as data: a list of operations. **Predict.** Which of these operations have to keep arrays for the way back?

# %%
for operation in tape.operations:
    kept = [str(tuple(numbers.shape)) for _, numbers in operation.saved]
    print(f"{operation.name:12} keeps", " and ".join(kept) or "nothing")

# %% [markdown]
# A linear layer keeps its input and its weights, ReLU and the cross-entropy what they need for their slopes; a mean needs nothing but the number of its inputs.
#
# ## 5. What these lines do not do
#
# ### An order without recursion
#
# Most short tapes find the order by *depth first*, with a function that calls itself: first the parents, then the tensor. **Predict.** What happens for a chain of 10,000 operations?


# %%
def recursive_order(tensor, found):
    for parent in tensor.parents:
        if parent not in found:
            recursive_order(parent, found)
    found.append(tensor)
    return found


chain = first = Tensor(1.0)
for _ in range(10_000):
    chain = chain + 0.5
try:
    recursive_order(chain, [])
except RecursionError as error:
    print("recursive:", str(error)[:32])
backward(chain)
print("with numbers:", float(first.grad))

# %%
deep = leaf = minicnn.tensor(1.0, requires_grad=True)
for _ in range(10_000):
    deep = deep + 0.5
deep.backward()
print("minicnn:", leaf.grad.item())

# %% [markdown]
# ### Arrays that were changed
#
# A product keeps its arguments, and the way back uses them later. **Predict.** Between the forward pass and the backward pass, somebody adds 10 to `x`. What is then the gradient of $x^2$ at $x = 3$ on our tape? What should it be?

# %%
x = Tensor(3.0)
y = x * x
x.data += 10
backward(y)
print("our tape:", float(x.grad), "instead of", 2 * 3.0)

x = minicnn.tensor(3.0, requires_grad=True)
y = x * x
with minicnn.no_grad():
    x.add_(10)
try:
    y.backward()
except RuntimeError as error:
    print("minicnn:", error)

# %% [markdown]
# A wrong gradient without a word is the worst mistake: the net still learns something. In minicnn each tensor counts the writes to its memory, its *version*. An operation notes the version of what it saves, and the backward pass compares. Such a write is easily made: an `optimizer.step()` before `loss.backward()` is one.
#
# ### Memory that is freed at once
#
# Python frees an object as soon as nothing refers to it any more. But if A refers to B and B to A, this does not happen: both wait for the garbage collector. Here are two ways to write tanh, whose slope is $1 - y^2$. The only difference is `y.data` in place of `y`.


# %%
def tanh(x):
    y = np.tanh(x.data)
    return Tensor(y, (x,), lambda gy: (gy * (1 - y**2),))


def tanh_with_cycle(x):
    y = Tensor(np.tanh(x.data), (x,))
    y.back = lambda gy: (gy * (1 - y.data**2),)  # y -> y.back -> y
    return y


# %% [markdown]
# **Predict.** Each step below computes with arrays of one megabyte, and forgets the result. How many megabytes are in use after 20 steps?


# %%
def megabytes_after(step, steps=20):
    """The memory that is in use after so many steps, without the garbage collector."""
    step()  # the first one loads what it needs
    gc.collect()
    gc.disable()
    tracemalloc.start()
    for _ in range(steps):
        step()
    used = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    gc.enable()
    gc.collect()
    return used


megabyte = np.ones(2**17)  # float64
print(f"our tape:     {megabytes_after(lambda: backward(total(tanh(Tensor(megabyte))))):4.0f} MB")
print(f"with a cycle: {megabytes_after(lambda: backward(total(tanh_with_cycle(Tensor(megabyte))))):4.0f} MB")
given = minicnn.tensor(megabyte, requires_grad=True)
print(f"minicnn:      {megabytes_after(lambda: minicnn.autograd.grad(given.tanh().sum(), given)):4.0f} MB")

# %% [markdown]
# With a cycle, every step leaves its arrays behind, about three megabytes of them, until the garbage collector happens to run. In minicnn a node points to its inputs, and never to its output: the graph has no cycles. And after the backward pass its saved arrays are freed, although the loss is still there. So a second backward pass needs to be asked for:

# %%
loss = given.tanh().sum()
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    print(error)

# %% [markdown]
# Our tape would have run again, and added to gradients that were there already, in the middle of the graph, too: wrong numbers, again without a word.
#
# ### Not recording
#
# To test a net nobody needs gradients. `no_grad` turns recording off: nothing is kept. **Predict.** What does `y.grad_fn` say then?

# %%
print("recorded:", small(batch).grad_fn)
with minicnn.no_grad():
    print("in no_grad:", small(batch).grad_fn)

# %% [markdown]
# ### Hooks
#
# A hook is a function that is called with the gradient of a tensor when it is complete. It may look at it, or change it. Here it looks, at the hidden layer of the net.

# %%
hidden = small[0](batch)
handle = hidden.register_hook(lambda gradient: print("gradient of the hidden layer:", tuple(gradient.shape)))
F.cross_entropy(small[2](F.relu(hidden)), classes).backward()
handle.remove()

# %% [markdown]
# ### NaN has a place of birth
#
# $\sqrt{x}$ has no gradient at 0: it is infinite. **Predict.** The loss below multiplies it by 0, so it looks harmless. Is it?

# %%
v = minicnn.tensor([4.0, 0.0], requires_grad=True)
loss = (v.sqrt() * minicnn.tensor([1.0, 0.0])).sum()
loss.backward()
print("loss", loss.item(), "and gradients", v.grad.tolist())
try:
    with minicnn.autograd.detect_anomaly():
        (v.sqrt() * minicnn.tensor([1.0, 0.0])).sum().backward()
except RuntimeError as error:
    print(error)

# %% [markdown]
# $0 \cdot \infty$ is NaN, and NaN spreads: after one step all weights of a net are NaN. `detect_anomaly` checks every operation, forward and backward, and names the first that gives NaN or Inf, with its layer and line. It costs time, so it is for the search only.
#
# ## Exercises
#
# Now write one for plain numbers, with another order: depth first, but with a stack of your own in place of recursion. `data`, `grad`, `_made` and the four methods are all that is needed; `minicnn exercise new tape` shows the statement with hints.


# %%
class Value:
    def __init__(self, data):
        self.data = data
        self.grad = 0.0
        self._parents = []  # the Values that this one was computed from
        self._slopes = []  # the derivative of this one by each of them

    def __add__(self, other):
        raise NotImplementedError  # your code; other may be a plain number

    def __mul__(self, other):
        raise NotImplementedError  # your code

    def relu(self):
        raise NotImplementedError  # your code

    def backward(self):
        raise NotImplementedError  # your code

    __radd__, __rmul__ = __add__, __mul__


check(Value, "tape")

# %% [markdown]
# More of this kind: `minicnn exercise new numerical_gradient`, then `linear_backward`, `relu_backward` and `cross_entropy_backward`: the ways back of this notebook. `minicnn exercise quiz bugs` has programs with a mistake to find.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `minicnn.tensor(3.0, requires_grad=True)`, `y.backward()`, `x.grad` | the same names under `torch` |
# | `minicnn.autograd.grad(loss, x)` | `torch.autograd.grad(loss, x)` |
# | `minicnn.no_grad()` | `torch.no_grad()` |
# | `tensor.register_hook(f)` | the same |
# | `loss.backward(retain_graph=True)` | the same |
# | `minicnn.autograd.detect_anomaly()` | `torch.autograd.detect_anomaly()`; it checks the backward pass only |
# | the error for an array that was changed | the same check: "one of the variables needed for gradient computation has been modified by an inplace operation" |
# | `create_graph=True` (gradients of gradients) | only there |
# | `visualize.graph`, `explain.recorded` | nothing; `torchviz` is a package of its own, without values and gradients |
#
# ## Three questions that you can now answer

# %%
x = minicnn.tensor(2.0, requires_grad=True)
(x * x + x).backward()
bias = minicnn.zeros(10, requires_grad=True)
(minicnn.ones(32, 10) + bias).sum().backward()

# %%
lesson.questions(
    ("What is the gradient of x*x + x at x = 2?", 5, x.grad, "the product sends 2 twice, the sum 1; they add"),
    (
        "A bias of ten numbers is added to 32 rows, and all numbers are added up. What is the gradient of one bias?",
        32,
        bias.grad[0],
        "each row uses it once",
    ),
    (
        "Why may the operation with the largest number go first?",
        "What uses a tensor was recorded later, and has a larger number. So it has sent its part before.",
    ),
)
