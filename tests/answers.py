"""Right answers to the exercises, as students write them; `wrong_answers.py` has edits that make them wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.exercises import EXERCISES

_CONV = """
    N, C, H, W = x.shape
    O, CG, KH, KW = w.shape
    (SH, SW), (PH, PW), (DH, DW) = stride, padding, dilation
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    wide = np.zeros((N, C, H + 2 * PH, W + 2 * PW))
    wide[:, :, PH:PH + H, PW:PW + W] = x
"""
_POOL = """
    N, C, H, W = x.shape
    (KH, KW), (SH, SW), (PH, PW) = kernel, stride, padding
    OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
"""
RIGHT = {
    "output_size": """
def output_size(size, kernel, stride, padding, dilation):
    reach = dilation * (kernel - 1) + 1
    left = size + 2 * padding - reach
    if left < 0:
        return 0
    return left // stride + 1
""",
    "receptive_field": """
def receptive_field(layers):
    field, jump = 1, 1
    for k, s, d in layers:
        field = field + (k - 1) * d * jump
        jump = jump * s
    return field, jump
""",
    "initial_scale": """
def initial_scale(shape, scheme):
    cells = 1
    for size in shape[2:]:
        cells *= size
    fan_in, fan_out = shape[1] * cells, shape[0] * cells
    if scheme.startswith("xavier"):
        variance = 2 / (fan_in + fan_out)
    else:
        variance = 2 / fan_in
    std = variance ** 0.5
    return std * 3 ** 0.5 if scheme.endswith("uniform") else std
""",
    "numerical_gradient": """
def numerical_gradient(f, x, eps):
    x = x.copy()
    g = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        old = x[place]
        x[place] = old + eps
        above = f(x)
        x[place] = old - eps
        below = f(x)
        x[place] = old
        g[place] = (above - below) / (2 * eps)
    return g
""",
    "conv2d_forward": f"""
def conv2d_forward(x, w, b, stride, padding, dilation):{_CONV}
    y = np.zeros((N, O, OH, OW))
    for n, o, i, j in np.ndindex(N, O, OH, OW):
        y[n, o, i, j] = b[o]
        for c in range(C):
            for a in range(KH):
                for k in range(KW):
                    y[n, o, i, j] += w[o, c, a, k] * wide[n, c, i * SH + a * DH, j * SW + k * DW]
    return y
""",
    "conv2d_backward": f"""
def conv2d_backward(gy, x, w, stride, padding, dilation):{_CONV}
    gwide, gw, gb = np.zeros_like(wide), np.zeros_like(w), np.zeros(O)
    for n, o, i, j in np.ndindex(*gy.shape):
        gb[o] += gy[n, o, i, j]
        rows = i * SH + DH * np.arange(KH)
        columns = j * SW + DW * np.arange(KW)
        place = (slice(None), rows[:, None], columns)
        gwide[n][place] += gy[n, o, i, j] * w[o]
        gw[o] += gy[n, o, i, j] * wide[n][place]
    gx = gwide[:, :, PH:PH + H, PW:PW + W]
    return gx, gw, gb
""",
    "conv2d_groups": f"""
def conv2d_groups(x, w, b, stride, padding, groups):
    dilation = 1, 1{_CONV}
    y = np.zeros((N, O, OH, OW))
    for n, o, i, j in np.ndindex(N, O, OH, OW):
        group = o // (O // groups)
        first = group * CG
        window = wide[n, first:first + CG, i * SH:i * SH + KH, j * SW:j * SW + KW]
        y[n, o, i, j] = (window * w[o]).sum() + b[o]
    return y
""",
    "depthwise_conv2d": f"""
def depthwise_conv2d(x, w, b, stride, padding):
    dilation = 1, 1{_CONV}
    y = np.zeros((N, O, OH, OW))
    for n, o, i, j in np.ndindex(N, O, OH, OW):
        c = o // (O // C)
        window = wide[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW]
        y[n, o, i, j] = (window * w[o, 0]).sum() + b[o]
    return y
""",
    "conv_transpose2d": """
def conv_transpose2d(x, w, b, stride, padding, output_padding):
    N, C, H, W = x.shape
    _, O, KH, KW = w.shape
    (SH, SW), (PH, PW), (EH, EW) = stride, padding, output_padding
    full = np.zeros((N, O, (H - 1) * SH + KH + EH, (W - 1) * SW + KW + EW))
    for n, i, j in np.ndindex(N, H, W):
        part = np.einsum("c,coak->oak", x[n, :, i, j], w)
        full[n, :, i * SH:i * SH + KH, j * SW:j * SW + KW] += part
    OH, OW = full.shape[2] - 2 * PH, full.shape[3] - 2 * PW
    y = full[:, :, PH:PH + OH, PW:PW + OW]
    return y + b[:, None, None]
""",
    "conv_transpose2d_backward": """
def conv_transpose2d_backward(gy, x, w, stride, padding):
    N, C, H, W = x.shape
    _, O, KH, KW = w.shape
    (SH, SW), (PH, PW) = stride, padding
    wide = np.pad(gy, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for n, i, j in np.ndindex(N, H, W):
        window = wide[n, :, i * SH:i * SH + KH, j * SW:j * SW + KW]
        gx[n, :, i, j] = (w * window).sum((1, 2, 3))
        gw += x[n, :, i, j][:, None, None, None] * window
    gb = gy.sum((0, 2, 3))
    return gx, gw, gb
""",
    "im2col": """
def im2col(x, kernel, stride, padding, dilation):
    N, C, H, W = x.shape
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = kernel, stride, padding, dilation
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    col = np.zeros((N, C * KH * KW, OH * OW))
    for n, c, a, b, i, j in np.ndindex(N, C, KH, KW, OH, OW):
        p, q = i * SH - PH + a * DH, j * SW - PW + b * DW
        if 0 <= p < H and 0 <= q < W:
            k = (c * KH + a) * KW + b
            t = i * OW + j
            col[n, k, t] = x[n, c, p, q]
    return col
""",
    "col2im": """
def col2im(col, size, kernel, stride, padding, dilation):
    (H, W), (KH, KW), (SH, SW), (PH, PW), (DH, DW) = size, kernel, stride, padding, dilation
    N, C = len(col), col.shape[1] // (KH * KW)
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    x = np.zeros((N, C, H, W))
    for n, i, j, c, a, b in np.ndindex(N, OH, OW, C, KH, KW):
        p, q = i * SH - PH + a * DH, j * SW - PW + b * DW
        if 0 <= p < H and 0 <= q < W:
            k = (c * KH + a) * KW + b
            t = i * OW + j
            x[n, c, p, q] += col[n, k, t]
    return x
""",
    "conv2d_product": """
def conv2d_product(col, w, b, size):
    N, O = len(col), len(w)
    rows = w.reshape(O, -1)
    y = rows @ col
    y = y + b[:, None]
    return y.reshape(N, O, *size)
""",
    "conv2d_product_backward": """
def conv2d_product_backward(gy, col, w):
    N, O = gy.shape[:2]
    rows, up = w.reshape(O, -1), gy.reshape(N, O, -1)
    gcol, gw = np.zeros_like(col), np.zeros_like(rows)
    for n in range(N):
        gcol[n] = rows.T @ up[n]
        gw += up[n] @ col[n].T
    gb = gy.sum((0, 2, 3))
    return gcol, gw.reshape(w.shape), gb
""",
    "max_pool2d_forward": f"""
def max_pool2d_forward(x, kernel, stride, padding):{_POOL}
    y = np.zeros((N, C, OH, OW))
    for n, c, i, j in np.ndindex(N, C, OH, OW):
        best = -np.inf
        for p in range(max(0, i * SH - PH), min(H, i * SH - PH + KH)):
            for q in range(max(0, j * SW - PW), min(W, j * SW - PW + KW)):
                best = max(best, x[n, c, p, q])
        y[n, c, i, j] = best
    return y
""",
    "max_pool2d_backward": f"""
def max_pool2d_backward(gy, x, kernel, stride, padding):{_POOL}
    gx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*gy.shape):
        best, where = -np.inf, None
        for p in range(max(0, i * SH - PH), min(H, i * SH - PH + KH)):
            for q in range(max(0, j * SW - PW), min(W, j * SW - PW + KW)):
                if x[n, c, p, q] > best:
                    best, where = x[n, c, p, q], (p, q)
        gx[n, c, where[0], where[1]] += gy[n, c, i, j]
    return gx
""",
    "avg_pool2d_forward": f"""
def avg_pool2d_forward(x, kernel, stride, padding):{_POOL}
    wide = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    y = np.zeros((N, C, OH, OW))
    for n, c, i, j in np.ndindex(N, C, OH, OW):
        window = wide[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW]
        y[n, c, i, j] = window.sum() / (KH * KW)
    return y
""",
    "avg_pool2d_backward": """
def avg_pool2d_backward(gy, size, kernel, stride, padding):
    (H, W), (KH, KW), (SH, SW), (PH, PW) = size, kernel, stride, padding
    gwide = np.zeros((*gy.shape[:2], H + 2 * PH, W + 2 * PW))
    for i, j in np.ndindex(*gy.shape[2:]):
        part = gy[:, :, i, j, None, None] / (KH * KW)
        gwide[:, :, i * SH:i * SH + KH, j * SW:j * SW + KW] += part
    return gwide[:, :, PH:PH + H, PW:PW + W]
""",
    "linear_backward": """
def linear_backward(gy, x, w):
    gx = gy @ w
    gw = gy.T @ x
    gb = gy.sum(0)
    return gx, gw, gb
""",
    "relu_backward": """
def relu_backward(gy, x):
    return gy * (x > 0)
""",
    "dropout": """
def dropout(x, gy, u, p, training):
    if not training:
        return x.copy(), gy.copy()
    mask = u >= p
    y = x * mask / (1 - p)
    gx = gy * mask / (1 - p)
    return y, gx
""",
    "softmax_forward": """
def softmax_forward(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
""",
    "softmax_backward": """
def softmax_backward(gy, y):
    return y * (gy - (gy * y).sum(1, keepdims=True))
""",
    "cross_entropy_forward": """
def cross_entropy_forward(x, target):
    m = x.max(1, keepdims=True)
    log_sum = np.log(np.exp(x - m).sum(1)) + m[:, 0]
    true = x[np.arange(len(x)), target]
    return (log_sum - true).mean()
""",
    "cross_entropy_backward": """
def cross_entropy_backward(gy, x, target):
    e = np.exp(x - x.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    p[np.arange(len(x)), target] -= 1
    return gy * p / len(x)
""",
    "batch_norm_forward": """
def batch_norm_forward(x, gamma, beta, running_mean, running_var, momentum, eps, training):
    column = lambda v: v[:, None, None]
    M = x.size // x.shape[1]
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * M / (M - 1)
    xhat = (x - column(mean)) / np.sqrt(column(var) + eps)
    return column(gamma) * xhat + column(beta), running_mean, running_var
""",
    "batch_norm_backward": """
def batch_norm_backward(gy, x, gamma, eps):
    axes = (0, 2, 3)
    mean = lambda a: a.mean(axes, keepdims=True)
    std = np.sqrt(x.var(axes, keepdims=True) + eps)
    xhat = (x - mean(x)) / std
    gbeta = gy.sum(axes)
    ggamma = (gy * xhat).sum(axes)
    gx = gamma[:, None, None] / std * (gy - mean(gy) - xhat * mean(gy * xhat))
    return gx, ggamma, gbeta
""",
    "sgd_step": """
def sgd_step(x, g, v, lr, momentum, weight_decay, nesterov):
    d = g + weight_decay * x
    v = momentum * v + d
    step = d + momentum * v if nesterov else v
    return x - lr * step, v
""",
    "adam_step": """
def adam_step(x, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g ** 2
    mhat = m / (1 - beta1 ** t)
    vhat = v / (1 - beta2 ** t)
    x = x - lr * mhat / (np.sqrt(vhat) + eps)
    return x, m, v
""",
    "tape": """
class Value:
    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents = data, 0.0, parents
        self.pull = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))
        def pull():
            self.grad += out.grad
            other.grad += out.grad
        out.pull = pull
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))
        def pull():
            self.grad += out.grad * other.data
            other.grad += out.grad * self.data
        out.pull = pull
        return out

    def relu(self):
        out = Value(max(self.data, 0.0), (self,))
        def pull():
            self.grad += out.grad * (self.data > 0)
        out.pull = pull
        return out

    def backward(self):
        order, done, stack = [], set(), [self]
        while stack:
            value = stack[-1]
            waiting = [p for p in value.parents if id(p) not in done]
            if waiting and id(value) not in done:
                stack.append(waiting[0])
                continue
            stack.pop()
            if id(value) not in done:
                done.add(id(value))
                order.append(value)
        self.grad = 1.0
        for value in reversed(order):
            value.pull()
""",
}  # fmt: skip


def made(name: str, text: str) -> Any:
    """The function or class of an answer."""
    space: dict[str, Any] = {"np": np}
    exec(compile(text, f"{name}.py", "exec"), space)
    return space[EXERCISES[name].entry]
