"""Milliseconds of the calls that nets are made of: each table's kernels, beside PyTorch's in the same process.

A call is written once for both libraries, as in a program: forward, and the gradient with respect to each input that
has one, through the graph of the forward pass, which is kept. minicnn runs its rows "cuda", in NCHW and in
channels-last memory, and "cupy"; PyTorch runs eagerly, in both formats, for convolutions and products also with TF32.

A rate counts the operations of the definition of a convolution or product, and for all others the bytes that must be
read and written: each input and result once. The share is that of the ceiling: of a float32 product, or of a copy.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from . import ceilings
from .child import Cases, Run
from .clock import Contender, fastest, measure, ratio
from .steps import rounding
from .versions import against

Shape = tuple[int, ...]
MEMORY = {"": None, " channels-last": "channels_last"}
MOST = 6.0  # seconds for a call with all of its passes
TARGETS = {"convolution": 0.5, "batch norm": 1.0, "pooling": 1.0, "softmax": 1.0, "optimiser": 1.0}


class Call(NamedTuple):
    """A call of a family, with inputs of these shapes; `flop` is that of one pass, 0 if the bytes count.

    `make(lib, *inputs)` gives the result. A family "optimiser" has no inputs: `make(lib)` gives the function to time.
    """

    family: str
    make: Callable[..., Any]
    inputs: tuple[Shape, ...] = ()
    passes: tuple[str, ...] = ("forward", "gx")
    flop: int = 0
    numbers: int = 0  # that are read and written in the forward pass, or by the optimiser


def conv(n: int, c: int, side: int, o: int, k: int, stride: int = 1, groups: int = 1) -> Call:
    """A convolution of square images and filters, with the padding that keeps the size."""
    out = (side + 2 * (k // 2) - k) // stride + 1
    shapes = (n, c, side, side), (o, c // groups, k, k)

    def make(lib: Any, x: Any, w: Any) -> Any:
        return lib.nn.functional.conv2d(x, w, None, stride, k // 2, 1, groups)

    flop = 2 * n * o * out * out * (c // groups) * k * k
    numbers = math.prod(shapes[0]) + math.prod(shapes[1]) + n * o * out * out
    name = "depthwise" if groups > 1 else "convolution"
    return Call(name, make, shapes, ("forward", "gx", "gw"), flop if groups == 1 else 0, numbers)


def batch_norm(n: int, c: int, side: int) -> Call:
    """Batch norm in training, with weight and bias."""

    def make(lib: Any, x: Any, w: Any) -> Any:
        return lib.nn.functional.batch_norm(x, None, None, w, w, True)

    return Call("batch norm", make, ((n, c, side, side), (c,)), ("forward", "gx"), 0, 2 * n * c * side * side)


def one(family: str, make: Callable[..., Any], shape: Shape, result: float = 1.0) -> Call:
    """A function of one array, whose result has `result` times as many numbers."""
    return Call(family, make, (shape,), ("forward", "gx"), 0, int(math.prod(shape) * (1 + result)))


def linear(n: int, i: int, o: int) -> Call:
    def make(lib: Any, x: Any, w: Any) -> Any:
        return lib.nn.functional.linear(x, w)

    return Call("linear", make, ((n, i), (o, i)), ("forward", "gx", "gw"), 2 * n * i * o)


def cross_entropy(n: int, k: int) -> Call:
    def make(lib: Any, x: Any) -> Any:
        return lib.nn.functional.cross_entropy(x, targets(lib, n, k))

    return one("softmax", make, (n, k), 0)


_targets: dict[Any, Any] = {}


def targets(lib: Any, n: int, k: int) -> Any:
    """Class labels on the GPU, made once."""
    key = lib.__name__, n, k
    if key not in _targets:
        _targets[key] = lib.arange(n, device="cuda") % k
    return _targets[key]


def optimiser(name: str, arrays: int, size: int, reads_and_writes: int, **options: Any) -> Call:
    """A step of an optimiser over `arrays` parameters of `size` numbers."""

    def make(lib: Any) -> Callable[[], Any]:
        parameters = [lib.nn.Parameter(lib.ones(size, device="cuda")) for _ in range(arrays)]
        for p in parameters:
            p.grad = lib.ones(size, device="cuda")
        return getattr(lib.optim, name)(parameters, 1e-4, **options).step  # type: ignore[no-any-return]

    return Call("optimiser", make, (), ("step",), 0, reads_and_writes * arrays * size)


def function(name: str, *args: Any, **options: Any) -> Callable[..., Any]:
    """A function of nn.functional of one array."""
    return lambda lib, x: getattr(lib.nn.functional, name)(x, *args, **options)


CALLS = {
    "conv 3x3 64, 56x56 (ResNet-50)": conv(32, 64, 56, 64, 3),
    "conv 1x1 64 to 256, 56x56 (ResNet-50)": conv(32, 64, 56, 256, 1),
    "batch norm 64, 112x112": batch_norm(32, 64, 112),
    "max pool 3x3/2 64, 112x112": one("pooling", function("max_pool2d", 3, 2, 1), (32, 64, 112, 112), 0.25),
    "softmax 8192x1000": one("softmax", function("softmax", 1), (8192, 1000)),
    "cross entropy 8192x1000": cross_entropy(8192, 1000),
    "SGD with momentum, 160 x 160,000": optimiser("SGD", 160, 160_000, 5, momentum=0.9),
    "Adam, 160 x 160,000": optimiser("Adam", 160, 160_000, 7),
    "conv 3x3 256, 14x14 (ResNet-50)": conv(32, 256, 14, 256, 3),
    "conv 3x3 128 to 128, /2, 56x56 (ResNet-50)": conv(32, 128, 56, 128, 3, 2),
    "conv 3x3 64, 224x224 (VGG-16)": conv(16, 64, 224, 64, 3),
    "conv 3x3 256, 56x56 (VGG-16)": conv(16, 256, 56, 256, 3),
    "conv 3x3 512, 14x14 (VGG-16)": conv(16, 512, 14, 512, 3),
    "batch norm 256, 56x56": batch_norm(32, 256, 56),
    "batch norm 2048, 7x7": batch_norm(32, 2048, 7),
    "max pool 2x2 64, 224x224": one("pooling", function("max_pool2d", 2), (16, 64, 224, 224), 0.25),
    "average pool 7x7 2048": one("pooling", function("avg_pool2d", 7), (128, 2048, 7, 7), 1 / 49),
    "ReLU 64, 112x112": one("activation", function("relu"), (32, 64, 112, 112)),
    "tanh 64, 112x112": one("activation", function("tanh"), (32, 64, 112, 112)),
    "GELU 64, 112x112": one("activation", function("gelu"), (32, 64, 112, 112)),
    "log softmax 128x1000": one("softmax", function("log_softmax", 1), (128, 1000)),
    "linear 64, 25088 to 4096 (VGG-16)": linear(64, 25088, 4096),
    "linear 128, 2048 to 1000 (ResNet-50)": linear(128, 2048, 1000),
    "conv 1x1 256 to 64, 56x56 (ResNet-50)": conv(32, 256, 56, 64, 1),
    "conv 1x1 512 to 2048, 7x7 (ResNet-50)": conv(32, 512, 7, 2048, 1),
    "conv 3x3 512, 7x7 (ResNet-50)": conv(32, 512, 7, 512, 3),
    "conv 7x7/2 3 to 64, 224x224 (ResNet-50)": conv(32, 3, 224, 64, 7, 2)._replace(passes=("forward", "gw")),
    "conv 3x3 depthwise 128, 56x56": conv(32, 128, 56, 128, 3, 1, 128),
    "group norm 64, 112x112": one("group norm", lambda lib, x: lib.nn.functional.group_norm(x, 8), (32, 64, 112, 112)),
    "dropout 4096x4096": one("dropout", function("dropout", 0.5, True), (4096, 4096)),
}
SMALL = {
    "conv 3x3": conv(1, 2, 6, 3, 3),
    "max pool 2x2": one("pooling", function("max_pool2d", 2), (1, 2, 6, 6), 0.25),
    "SGD": optimiser("SGD", 2, 30, 5, momentum=0.9),
}


def cases(run: Run) -> Cases:
    calls = SMALL if run.small else CALLS
    return {name: lambda name=name, call=call: time_call(run, name, call) for name, call in calls.items()}


def time_call(run: Run, name: str, call: Call) -> dict[str, Any]:
    """{pass: {"ms", "ratio", "rate", "share"}} for all passes of a call, and an "error" if minicnn cannot do one."""
    contenders = every_contender(run, call)
    seconds = 0 if run.small else run.share(MOST) / len(call.passes)
    found: dict[str, Any] = {"family": call.family}
    for which in call.passes:
        times = measure({who: make(which) for who, make in contenders.items()}, seconds)
        found[which] = judged(run, call, which, times)
        print(f"{name}, {which}: {said(found[which])}; {verdict(found, which)}".rstrip("; "), flush=True)
    bad = {
        f"{which}, {who}": ms for which in call.passes for who, ms in found[which]["ms"].items() if isinstance(ms, str)
    }
    bad = {who: text for who, text in bad.items() if ", minicnn" in who}
    contenders.clear()
    _targets.clear()
    gc.collect()
    return found | ({"error": str(bad)} if bad else {})


def every_contender(run: Run, call: Call) -> dict[str, Callable[[str], Contender]]:
    """By name: what makes the contender for a pass."""
    import minicnn

    torch, found = against(run), {}
    for memory, value in MEMORY.items() if any(len(shape) == 4 for shape in call.inputs) else [("", None)]:
        ours = partial(contender, minicnn, call, value)
        found[f"minicnn{memory}"] = partial(ours, lambda: minicnn.use(backend="cuda"))
        if not memory:
            found["minicnn cupy"] = partial(ours, lambda: minicnn.use(backend="cupy"))
        if torch is not None:
            theirs = partial(contender, torch, call, value)
            found[f"torch{memory}"] = partial(theirs, partial(rounding, torch, False))
            if call.flop:
                found[f"torch{memory} TF32"] = partial(theirs, partial(rounding, torch, True))
    return found


def contender(
    lib: Any, call: Call, memory: str | None, around: Callable[[], AbstractContextManager[Any]], which: str
) -> Contender:
    """One library in one format. Its inputs are made at the first call."""
    made: list[Callable[[], Any]] = []

    def run() -> Any:
        if not made:
            made.append(prepared(lib, call, memory, which))
        return made[0]()

    return Contender(lib, run, around)


def prepared(lib: Any, call: Call, memory: str | None, which: str) -> Callable[[], Any]:
    """The function to time, its inputs on the GPU."""
    if not call.inputs:
        made: Callable[[], Any] = call.make(lib)
        return made
    lib.manual_seed(0)
    inputs = [lib.randn(*shape).to("cuda") for shape in call.inputs]
    if memory:
        inputs = [x.contiguous(memory_format=getattr(lib, memory)) if x.ndim == 4 else x for x in inputs]
    if which == "forward":
        return lambda: call.make(lib, *inputs)
    wanted = inputs[0 if which == "gx" else 1].requires_grad_()
    y = call.make(lib, *inputs)
    gy = lib.ones_like(y)
    return lambda: lib.autograd.grad(y, [wanted], gy, retain_graph=True)


def judged(run: Run, call: Call, which: str, times: dict[str, Any]) -> dict[str, Any]:
    """The times with the ratio against PyTorch eager in float32, minicnn's rate, and its share of the ceiling."""
    own = {who: ms for who, ms in times.items() if who != "minicnn cupy" and "TF32" not in who}
    tf32 = {
        who: ms for who, ms in times.items() if who != "minicnn cupy" and who not in ("torch", "torch channels-last")
    }
    found: dict[str, Any] = {"ms": times, "ratio": ratio(own, "torch"), "ratio TF32": ratio(tf32, "torch")}
    ms = fastest(own, "minicnn")
    if math.isfinite(ms) and ms > 0:
        backward = 1.5 if which.startswith("g") and not call.flop else 1.0  # gy is read, too
        rate = (call.flop or 4 * call.numbers * backward) / (ms / 1e3) / 1e12
        top = ceilings.value(run.results, ceilings.PRODUCT if call.flop else ceilings.COPY)
        found |= {"rate": rate, "unit": "TFLOP/s" if call.flop else "TB/s", "share": rate / top if top else None}
    return found


def said(found: dict[str, Any]) -> str:
    """The results of a pass in a line."""
    each = ", ".join(f"{who} {ms if isinstance(ms, str) else f'{ms:.3f}'}" for who, ms in found["ms"].items())
    rate = f"; {found['rate']:.3g} {found['unit']}" if "rate" in found else ""
    share = f", {100 * found['share']:.0f} % of the ceiling" if found.get("share") else ""
    return f"{each} ms{rate}{share}" + (f"; {found['ratio']:.2f}x PyTorch" if found["ratio"] else "")


def verdict(case: dict[str, Any], which: str) -> str:
    """Whether a pass reaches the target of its family; empty if there is none, or no ratio."""
    target, found = TARGETS.get(case["family"]), case[which].get("ratio")
    if target is None or found is None:
        return ""
    return f"{'reaches' if found >= target else 'BELOW'} the target of {target}x"


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    done = [(name, which, case) for name, case in cases.items() for which in case if "ms" in (_part(case, which))]
    columns = list(dict.fromkeys(who for _, which, case in done for who in case[which]["ms"]))
    heads = [*columns, "rate", "share", "speed", "against TF32", "target"]
    lines = [f"| ms | pass | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for name, which, case in done:
        part = case[which]
        cells = [_cell(part["ms"].get(who)) for who in columns]
        cells += [f"{part['rate']:.3g} {part['unit']}" if "rate" in part else "-"]
        cells += [f"{100 * part['share']:.0f} %" if part.get("share") else "-"]
        cells += [f"{part[key]:.2f}" if part.get(key) else "-" for key in ("ratio", "ratio TF32")]
        lines.append(f"| {name} | {which} | {' | '.join([*cells, verdict(case, which)])} |")
    return lines


def _part(case: dict[str, Any], which: str) -> dict[str, Any]:
    part = case[which]
    return part if isinstance(part, dict) else {}


def _cell(ms: Any) -> str:
    return "-" if ms is None else "error" if isinstance(ms, str) else f"{ms:.3g}"


def summary(cases: dict[str, Any]) -> list[str]:
    """For each family with a target: how many of its passes reach it, and the geometric mean of the ratios."""
    lines = []
    for family, target in TARGETS.items():
        found = [
            case[which]["ratio"]
            for case in cases.values()
            if case.get("family") == family
            for which in case
            if _part(case, which).get("ratio")
        ]
        if found:
            mean = math.exp(sum(map(math.log, found)) / len(found))
            reached = sum(r >= target for r in found)
            lines.append(
                f"{family}: {mean:.2f}x PyTorch eager, {reached} of {len(found)} reach the target of {target}x"
            )
    return lines
