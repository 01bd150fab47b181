"""summary: the table, and that the net is not changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import ShapeError, nn
from minicnn.analysis import Summary, receptive_field
from minicnn.analysis.table import Table
from minicnn_kernels import conv2d


def test_the_printed_table(capsys: pytest.CaptureFixture[str]) -> None:
    minicnn.summary(minicnn.models.LeNet5(), (1, 32, 32))
    text = capsys.readouterr().out
    assert "    0 (Conv2d)  " in text
    assert "[-1, 16, 10, 10]" in text
    assert "Total params: 61,706" in text
    for count in ("156", "2,416", "48,120", "10,164", "850"):
        assert f" {count}  " in text


def test_the_net_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Flatten(), nn.Linear(4, 1))
    net[1].eval()
    state = {key: value.numpy().copy() for key, value in net.state_dict().items()}
    minicnn.summary(net, (1, 2, 2), verbose=False)
    assert [m.training for m in net.modules()] == [True, True, False, True, True]
    for key, value in net.state_dict().items():
        assert np.array_equal(value.numpy(), state[key])
    assert not any(m._forward_hooks for m in net.modules())


class Reads(nn.Module):
    """Reads numbers, and writes into a buffer, a parameter and a gradient."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.first, self.norm = first, nn.BatchNorm2d(4)
        self.register_buffer("count", minicnn.zeros(()))

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        y: minicnn.Tensor = self.norm(self.first(x))
        self.count += 1
        self.norm.weight.data.mul_(2)
        self.norm.bias.grad = None
        self.count = self.count * 2
        return -y if y.mean().item() > 1 else y


@pytest.mark.parametrize("first", [nn.Conv2d, nn.LazyConv2d])
@pytest.mark.parametrize("hook", [False, True])
def test_a_net_that_reads_numbers_is_left_as_it_was(first: type[nn.Module], hook: bool) -> None:
    net = Reads(nn.Conv2d(3, 4, 3) if first is nn.Conv2d else nn.LazyConv2d(4, 3))
    net.norm.bias.grad = minicnn.ones(4)
    if hook:
        net.norm.register_forward_hook(lambda module, args, result: (result.detach().numpy().mean(), None)[1])
    state = {key: (value, value.numpy().copy()) for key, value in net.norm.state_dict().items()}
    tensors = [*net.norm.parameters(), *net.buffers()]
    minicnn.summary(net, (3, 8, 8), verbose=0)
    for key, value in net.norm.state_dict().items():
        assert np.array_equal(value.numpy(), state[key][1]), key
    assert all(a is b for a, b in zip(tensors, [*net.norm.parameters(), *net.buffers()], strict=True))
    assert net.count.item() == 0 and net.training
    assert first is nn.LazyConv2d or np.array_equal(net.norm.bias.grad.numpy(), np.ones(4))


def test_shared_and_frozen_layers_count_once() -> None:
    shared = nn.Linear(3, 3)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    shared.bias.requires_grad_(False)
    found = minicnn.summary(net, (3,), verbose=False)
    assert [row.parameters for row in found.rows] == [12, 0, 0]
    assert (found.parameters, found.trainable) == (12, 9)


def test_errors() -> None:
    net = minicnn.models.LeNet5()
    with pytest.raises(ShapeError, match=r"expects 1 input channel,.* in features\.0 .* needs 1 channel and gets 3"):
        minicnn.summary(net, (3, 32, 32))
    assert net.training
    for bad in [(1, 0, 32), 3, [], "32"]:
        with pytest.raises(ValueError, match="input_size must be a shape"):
            minicnn.summary(net, bad)


def test_meta_nets_and_lazy_layers() -> None:
    """Shapes and parameters without memory; lazy layers are counted after the run that gives them their shapes."""

    def build() -> nn.Sequential:
        return nn.Sequential(nn.LazyConv2d(6, 5), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(1_000_000))

    with minicnn.device("meta"):
        net = build()
    found = minicnn.summary(net, (1, 32, 32), verbose=False)
    assert [row.output for row in found.rows] == [(6, 28, 28), (6, 28, 28), (4704,), (1_000_000,)]
    assert found.parameters == 156 + 12 + 4705 * 1_000_000
    assert net[3].weight.is_meta
    with minicnn.device("meta"):
        ours = build()
    assert minicnn.summary(ours, (1, 32, 32), device="meta", verbose=False).rows[0].kind == "Conv2d"


def test_lazy_layers_that_are_not_run() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(2, 3), nn.LazyLinear(4)

        def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
            y: minicnn.Tensor = self.used(x)
            return y

    assert minicnn.summary(Half(), (2,), verbose=False).parameters == 9


class OneHot(nn.Module):
    """A first layer that takes classes, and an image beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(10, 3)

    def forward(self, x: minicnn.Tensor, y: minicnn.Tensor | None = None) -> minicnn.Tensor:
        found: minicnn.Tensor = self.linear(nn.functional.one_hot(x, 10).float())
        return found if y is None else found + y


@pytest.mark.parametrize("dtypes", [[minicnn.int64], minicnn.int64, minicnn.LongTensor, "minicnn.LongTensor"])
def test_inputs_of_classes(dtypes: object) -> None:
    found = minicnn.summary(OneHot(), (4,), dtypes=dtypes, verbose=False)
    assert [row.output for row in found.rows] == [(4, 3)]
    assert found.input_bytes == 4 * 8
    with pytest.raises(RuntimeError, match="one_hot: takes an int64 tensor"):
        minicnn.summary(OneHot(), (4,), verbose=False)


def test_a_type_for_each_input() -> None:
    found = minicnn.summary(OneHot(), [(4,), (4, 3)], dtypes=[minicnn.int64, None], verbose=False)
    assert found.input_bytes == 4 * 8 + 4 * 3 * 4
    with pytest.raises(ValueError, match="summary: 1 type in dtypes for 2 inputs"):
        minicnn.summary(OneHot(), [(4,), (4, 3)], dtypes=[minicnn.int64])
    with pytest.raises(TypeError, match=r"summary: dtypes must be types such as minicnn.int64, got 'x' \(str\)"):
        minicnn.summary(OneHot(), (4,), dtypes="x")


# ------------------------------------------------------------------------------------------------- the tree of layers


class Branches(nn.Module):
    """Two inputs; a dictionary with a tuple as result; a head that runs in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 3, 1)
        self.head, self.aux = nn.Linear(5, 2), nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))

    def forward(self, x: minicnn.Tensor, y: minicnn.Tensor) -> dict[str, object]:
        z = minicnn.cat([self.left(x), self.right(y)], 1)
        pooled = z.mean((2, 3))
        extra = (self.aux(pooled),) if self.training else ()
        return {"map": z, "scores": (self.head(pooled), *extra)}


def test_inputs_branches_and_nested_results() -> None:
    found = minicnn.summary(Branches(), [(1, 6, 6), (1, 6, 6)], verbose=False)
    assert found.layers[0].outputs == [(5, 6, 6), (2,)] and found.inputs == [(1, 6, 6), (1, 6, 6)]
    assert [layer.name for layer in found.layers] == ["", "left", "right", "cat", "mean", "head"]
    assert [layer.depth for layer in found.layers] == [0, 1, 1, 1, 1, 1]
    assert found.layers[3].arithmetic == "2 + 3 = 5" and found.layers[3].inputs == [(2, 6, 6), (3, 6, 6)]
    assert found.total_macs == 36 * (2 * 9 + 3) + 10
    assert found.unused == {"aux": 34} and "Not used in evaluation: aux (34 parameters)" in str(found)
    assert found.total_params == 20 + 6 + 12 + 34 == found.layers[0].parameters
    assert "[-1, 5, 6, 6] and 1 more" in str(found)
    assert found.saved_bytes == 2 * 36 * 4 + 5 * 4 + 4 * 4  # both images, the mean, what the second layer of aux keeps


def test_depth_and_verbosity(capsys: pytest.CaptureFixture[str]) -> None:
    net = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten())
    top = minicnn.summary(net, (1, 5, 5), depth=1)
    text = capsys.readouterr().out
    assert text == f"{top}\n" and "(Conv2d)" not in text and "0 (Sequential)" in text and "im2col B" not in text
    minicnn.summary(net, (1, 5, 5), 4, depth=0, verbose=2)
    text = capsys.readouterr().out
    assert "im2col B" in text and "Flatten" not in text and "[4, 18]" in text
    assert minicnn.summary(net, (1, 5, 5), verbose=0).layers[0].macs == 2 * 9 * 9
    assert capsys.readouterr().out == ""


def test_formats_are_whole_and_escaped() -> None:
    class Odd(nn.Module):
        def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
            return x

    Odd.__name__ = "<b>|*"
    found = minicnn.summary(nn.Sequential(Odd(), nn.Conv2d(1, 2, 3)), (1, 5, 5), verbose=False)
    page = found.html()
    assert "&lt;b&gt;|*" in page and "<b>" not in page and "http" not in page and page.count("<tr") == 4
    assert r"0 (\<b\>\|\*)" in found.markdown()
    assert len({line.count("|") - line.count(r"\|") for line in found.markdown().splitlines() if "|" in line}) == 1
    data = json.loads(found.json())
    assert data["total_macs"] == 162 and data["layers"][2]["output_shape"] == [2, 3, 3]
    assert data["layers"][2]["arithmetic"] == "(5 + 2*0 - 3) // 1 + 1 = 3"
    assert found.csv().splitlines()[0].startswith("name,type,depth") and len(found.csv().splitlines()) == 4
    assert found.to("csv") == found.csv() and found.to("text") == str(found)
    with pytest.raises(ValueError, match="to: no format 'pdf'; there are: text, markdown, csv, json, html"):
        found.to("pdf")


def test_a_shape_error_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ShapeError) as caught:
        minicnn.summary(minicnn.models.LeNet5(), (1, 36, 36))
    message = str(caught.value)
    assert message.startswith("linear: weight (120, 400) takes 400 input features")
    assert "This happens in classifier.1 (Linear), whose input of shape (576,) for each image" in message
    assert "classifier.0 (Flatten) gives (16*6*6 = 576)" in message and "build it with Linear(576, ...)" in message
    partial: Summary = caught.value.summary  # type: ignore[attr-defined]
    assert partial.layers[-1].failed and partial.layers[-2].output == (576,) and partial.error == message
    printed = capsys.readouterr().out
    assert printed == f"{partial}\n" and message in printed and "Total" not in printed
    assert message in partial.markdown().replace("\\", "") and 'class="error"' in partial.html()
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(4))
    with pytest.raises(ShapeError, match=r"1 \(BatchNorm2d\).*It needs 4 channels and gets 8: .* let the layer before"):
        minicnn.summary(net, (3, 8, 8), verbose=False)
    with pytest.raises(ShapeError, match=r"0 \(Conv2d\), whose input of shape \(3, 2, 2\) for each image is the net's"):
        minicnn.summary(net, (3, 2, 2), verbose=False)


def test_other_errors_are_raised_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
            return self.conv(x).colour  # type: ignore[no-any-return]

    with pytest.raises(AttributeError, match="colour") as caught:
        minicnn.summary(Wrong(), (1, 8, 8))
    assert "conv (Conv2d)" in capsys.readouterr().out and len(caught.value.summary.layers) == 2  # type: ignore[attr-defined]


def test_nothing_is_computed_or_allocated() -> None:
    """A net on the CPU is not run: its convolutions alone would take minutes; on the meta device it takes no memory."""
    net = nn.Sequential(*[nn.Conv2d(64, 64, 3, padding=1) for _ in range(40)])
    with minicnn.device("meta"):
        wide = nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1), *[nn.Sequential(net[0], nn.BatchNorm2d(64), nn.SiLU())] * 2)
        huge = nn.Sequential(nn.Conv2d(3, 4096, 3), nn.Flatten(), nn.Linear(4096 * 998 * 998, 1000))
    kernels: list[object] = []
    table = conv2d.FORWARD
    rows = dict(table.rows)
    try:
        for key in rows:
            table.rows[key] = lambda *args, **options: kernels.append(args)
        assert minicnn.summary(net, (64, 600, 600), verbose=False).total_macs == 40 * 600 * 600 * 64 * 64 * 9
        assert minicnn.summary(wide, (3, 600, 600), verbose=False).layers[1].output == (64, 300, 300)
    finally:
        table.rows.update(rows)
    assert kernels == []
    assert minicnn.summary(huge, (3, 1000, 1000), verbose=False).param_bytes > 2**43


@pytest.mark.slow
def test_efficientnet_b7_takes_little_memory() -> None:
    """In a process of its own, below the 300 MB that its weights alone would take with their gradients."""
    code = """if 1:
        import re, resource, sys, minicnn
        with minicnn.device("meta"):
            net = minicnn.models.efficientnet_b7()
        found = minicnn.summary(net, (3, 600, 600), verbose=0)
        status = open("/proc/self/status").read() if sys.platform == "linux" else ""
        peak = re.search(r"VmHWM: +([0-9]+) kB", status)  # ru_maxrss may be that of the parent
        print(len(found.layers), found.total_params, int(peak[1]) / 1024 if peak else 0)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    layers, params, peak = map(float, done.stdout.split())
    assert layers > 790 and params == 66_347_960 and peak < 300, done.stdout


# -------------------------------------------------------------------------------------------------------- wrong input


def test_an_input_with_the_batch_axis_or_without_channels() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(ShapeError, match=r"^input_size is without the batch axis: give \(3, 8, 8\)") as raised:
        minicnn.summary(net, (1, 3, 8, 8), verbose=0)
    assert "channels" not in str(raised.value)
    with pytest.raises(
        ShapeError, match=r"input_size \(3, 8\) has 2 axes, and 0 \(Conv2d\) takes inputs of 3, \(C, H, W\)"
    ) as raised:
        minicnn.summary(net, (3, 8), verbose=0)
    assert "in_channels" not in str(raised.value)
    with pytest.raises(ShapeError, match=r"input_size \(8, 8\) has 2 axes"):
        minicnn.summary(nn.Sequential(nn.Conv2d(1, 4, 3)), (8, 8), verbose=0)
    with pytest.raises(ShapeError, match="It needs 3 channels and gets 1: build it with Conv2d"):
        minicnn.summary(net, (1, 8, 8), verbose=0)


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        ("resnet18", "get_model"),
        (nn.ReLU, r"ReLU is a class: give ReLU\(\.\.\.\)"),
        (abs, "a function has no layers"),
        (3, ""),
    ],
)
def test_what_is_no_net(model: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=f"summary: the net must be a Module, got .*{remedy}"):
        minicnn.summary(model, (3, 8, 8))


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "depth must be 0 or more, or None for all, got -1", {"depth": -1}),
        (TypeError, "depth must be 0 or more, or None for all, got True", {"depth": True}),
        (TypeError, "depth must be 0 or more, or None for all, got '2'", {"depth": "2"}),
        (ValueError, "verbose must be 0, 1 or 2, got -1", {"verbose": -1}),
        (ValueError, "verbose must be 0, 1 or 2, got 3", {"verbose": 3}),
        (TypeError, "verbose must be 0, 1 or 2, got 'no'", {"verbose": "no"}),
        (ValueError, "batch_size must be 1 or more, or -1 for any, got 0", {"batch_size": 0}),
        (ValueError, "batch_size must be 1 or more, or -1 for any, got -2", {"batch_size": -2}),
        (TypeError, "batch_size must be 1 or more, or -1 for any, got 'a'", {"batch_size": "a"}),
        (RuntimeError, "device: 'tpu' is not known; there are: cpu", {"device": "tpu"}),
        (ValueError, "input_size must be a shape such as .*whole numbers from 1.*got .True", {"input_size": (True, 8)}),
        (ValueError, r"input_size .* got a tensor; the shape of each of its images is \(3, 8\)",
         {"input_size": minicnn.zeros(2, 3, 8)}),
        (TypeError, r"input_size has 2 shapes, and the forward of ReLU takes \(input\): too many positional arguments",
         {"input_size": [(3, 8), (3, 8)]}),
    ],
)  # fmt: skip
def test_arguments_that_mean_nothing(
    error: type[Exception], message: str, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=f"summary: {message}"):
        minicnn.summary(nn.ReLU(), **{"input_size": (3, 8, 8), **options})
    assert capsys.readouterr().out == ""


def test_numbers_of_numpy_in_a_shape() -> None:
    size = np.array([1, 32, 32])
    for given in (size, tuple(size), list(size), [size], [tuple(size)], minicnn.zeros(*size).shape):
        found = minicnn.summary(minicnn.models.LeNet5(), given, np.int64(4), depth=np.int8(0), verbose=0)  # type: ignore[arg-type]
        assert found.inputs == [(1, 32, 32)] and type(found.inputs[0][0]) is int
        assert (found.batch_size, found.depth) == (4, 0)


def test_a_net_that_takes_another_number_of_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Any, y: Any, scale: float = 1) -> Any:
            return x + y * scale

    assert minicnn.summary(Two(), [(3,), (3,)], verbose=0).inputs == [(3,), (3,)]
    with pytest.raises(TypeError, match=r"has 1 shape, and the forward of Two takes \(x, y, scale\): missing .*'y'"):
        minicnn.summary(Two(), (3,))
    hooked = Two()
    hooked.register_forward_pre_hook(lambda module, args: (*args, args[0]))
    assert minicnn.summary(hooked, (3,), verbose=0).inputs == [(3,)]


def test_a_name_with_a_new_line_stays_in_its_row() -> None:
    net = nn.Sequential(OrderedDict([("a\nb|", nn.Conv2d(1, 2, 3)), ("\N{GREEK SMALL LETTER PI} \x1b", nn.ReLU())]))
    found = minicnn.summary(net, (1, 5, 5), verbose=0)
    rows = found.markdown().splitlines()
    assert rows[3].startswith(r"| &emsp;a\\nb\| (Conv2d) | ") and rows[4].startswith(
        "| &emsp;\N{GREEK SMALL LETTER PI} "
    )
    assert r"\\x1b (ReLU)" in rows[4]
    assert [line.split()[0] for line in str(found).splitlines()[3:6]] == ["Sequential", r"a\nb|", "\u03c0"]
    field = receptive_field(net, (1, 5, 5))
    assert str(field).splitlines()[1].startswith(r"a\nb| (Conv2d)")
    table = Table("t", ["layer", "n"], [["a\nb|", 1]])
    assert table.markdown().splitlines()[4] == r"| a\nb\| | 1 |" and len(str(table).splitlines()) == 6


class Assigns(nn.Module):
    """Writes at an index, and gives one number."""

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        y = x * 2
        y[:, 0] = 0
        return y.mean()


def test_names_of_writes_and_the_shape_of_one_number() -> None:
    found = minicnn.summary(Assigns(), (3, 8, 8), verbose=0)
    assert [layer.kind for layer in found.layers] == ["Assigns", "mul", "setitem", "mean"]
    assert [layer.scalar for layer in found.layers] == [True, False, False, True]
    found.verbose = 2
    assert re.search(r"mean  +\[\]  ", str(found)) and "[-1]" not in str(found)
