"""The benchmarks measure what they say: the layers of the nets, and contenders that train as the others do."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_layers_are_those_of_the_nets(benchmark: Any) -> None:
    """20 convolutions of ResNet-18, 11 different ones, of 1.8136 billion products an image."""
    layers = benchmark("conv_layers").layers("resnet18")
    assert len(layers) == 11 and sum(layer.count for layer in layers) == 20
    assert sum(layer.flop * layer.count for layer in layers) // (2 * 8) == 1_813_561_344
    assert [layer.first for layer in layers] == [True] + [False] * 10
    assert not any(layer.bias for layer in layers) and not layers[0].judged and layers[1].judged
    assert all(layer.bias for layer in benchmark("conv_layers").layers("vgg16"))
    assert not any(layer.judged for layer in benchmark("conv_layers").layers("mobilenet_cifar") if layer.g.groups > 1)


def test_the_layers_of_the_command_are_in_the_nets(benchmark: Any) -> None:
    """`minicnn bench conv --layer NAME`."""
    from minicnn.cli.bench import LAYERS

    conv_layers, nets = benchmark("conv_layers"), {"mobilenet": "mobilenet_cifar"}
    for name, layer in LAYERS.items():
        net = name.partition(".")[0]
        found = [
            (one.g.x_shape, one.g.w_shape, one.g.sh, one.g.ph, one.g.dh, one.g.groups, one.bias)
            for one in conv_layers.layers(nets.get(net, net))
        ]
        assert tuple(layer) in found, name


@pytest.mark.slow
def test_the_table_of_layers(tmp_path: Path) -> None:
    line = "--only lenet5 --orders nchw --passes forward gx --seconds 0.2 --algorithms im2col direct registers"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "conv_layers.py", *line.split(), "--csv", tmp_path / "layers.csv"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    with open(tmp_path / "layers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["o"], row["pass"], row["algorithm"]) for row in rows] == [
        (o, which, name)
        for o, which in (("6", "forward"), ("16", "forward"), ("16", "gx"))  # the first layer has no gx
        for name in ("im2col", "direct", "registers")
    ]
    for row in rows:
        n, o, c, k, side = (int(row[name]) for name in ("n", "o", "c", "kh", "oh"))
        if row["ms"]:  # else too slow
            assert float(row["gflops"]) == pytest.approx(2 * n * o * c * k * k * side * side / float(row["ms"]) / 1e6)
    assert "geometric mean" in done.stdout and "all convolutions of a step, nchw: auto" in done.stdout


@pytest.mark.slow
def test_the_choice_of_auto_is_timed_whatever_is_asked_for(tmp_path: Path) -> None:
    line = "--only lenet5 --orders nchw --passes forward --seconds 0.1 --algorithms im2col"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "conv_layers.py", *line.split()], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "nan" not in done.stdout and "(registers " in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("1x ")]
    assert len(rows) == 2 and not any(" 0%" in row for row in rows)


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_on_the_emulated_one(tmp_path: Path) -> None:
    """All stages, small. The last one is run anew at the end, with the results of the others kept."""
    from minicnn_kernels.emulated.build import compiler

    compiler()  # or the test is skipped
    command = [sys.executable, BENCHMARKS / "gpu.py", "--emulated", "--minutes", "30", "--json", tmp_path / "gpu.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())["stages"]
    assert {name: stage["status"] for name, stage in found.items()} == dict.fromkeys(found, "done")
    assert [*found] == ["versions", "compile", "rows", "tests", "losses", "ceilings", "calls", "steps", "sanitizers"]
    assert found["versions"]["cases"]["gpu"]["name"] == "Emulated GPU"
    assert found["rows"]["cases"]["softmax axis"]["calls"] == 4
    assert found["tests"]["cases"]["pytest --device cuda"]["counts"]["PASSED"] > 5
    assert found["ceilings"]["cases"]["float32 product TFLOP/s"]["value"] > 0
    assert set(found["calls"]["cases"]["conv 3x3"]["gw"]["ms"]) == {"minicnn", "minicnn cupy", "minicnn channels-last"}
    assert set(found["steps"]["cases"]["lenet5"]["ms"]) == {"minicnn", "minicnn channels-last"}
    again = subprocess.run([*command, "--only", "ceilings"], capture_output=True, text=True, check=True)
    kept = json.loads((tmp_path / "gpu.json").read_text())["stages"]
    assert kept["steps"] == found["steps"] and kept["ceilings"] != found["ceilings"], again.stdout
    page = (tmp_path / "gpu.md").read_text()
    assert all(f"## {name}" in page for name in found) and "| softmax axis | 4 |" in page


def test_the_nets_of_the_gpu(benchmark: Any) -> None:
    """ResNet-50 as in its paper: 25.6 million weights, 53 convolutions."""
    nets = benchmark("nets")
    with minicnn.device("meta"):
        net = nets.ON_GPU["resnet50"].build(minicnn.nn)
    assert sum(p.numel() for p in net.parameters()) == 25_557_032
    assert sum(isinstance(m, minicnn.nn.Conv2d) for m in net.modules()) == 53
    assert all(one.batch[1:] == nets.NETS[name].batch[1:] for name, one in nets.ON_GPU.items() if name in nets.NETS)


def test_more_nets_run(benchmark: Any) -> None:
    """Each of the nets gives a class for each image or pixel; those of the zoo are torchvision's in size."""
    more, counts = benchmark("more_nets"), {}
    assert len(more.ALL) >= 20
    with minicnn.device("meta"), minicnn.no_grad():
        for name, net in more.ALL.items():
            model = net.build(minicnn.nn).eval()
            counts[name] = sum(p.numel() for p in model.parameters())
            expected = (net.batch[0], net.classes, *(net.batch[2:] if net.per_pixel else ()))
            assert model(minicnn.zeros(net.batch)).shape == expected, name
    assert counts["densenet121"] == 7_978_856 and counts["mobilenet_v2"] == 3_504_872
    assert counts["googlenet"] == 6_624_904 and counts["resnext50"] == 25_028_904


def test_a_step_of_the_benchmark(benchmark: Any) -> None:
    """A training step changes the weights; with `evaluation` it gives the output of a net in evaluation mode."""
    train_step, net = benchmark("train_step"), benchmark("more_nets").ALL["se_resnet_cifar"]
    net = net._replace(batch=(2, 3, 8, 8))
    step = train_step.step_of(minicnn, net, None)
    assert step() != step()
    evaluate = train_step.step_of(minicnn, net, "channels_last", evaluation=True)
    y = evaluate()
    assert y.shape == (2, 10) and not y.requires_grad and minicnn.equal(y, evaluate())
    pixels = train_step.step_of(minicnn, benchmark("more_nets").ALL["unet"]._replace(batch=(1, 3, 8, 8)), None)
    assert np.isfinite(float(pixels()))


def test_the_summary_of_speeds(benchmark: Any) -> None:
    text = benchmark("train_step").summary({"a": 2.0, "b": 0.5, "c": 1.0, "d": 4.0, "e": 3.0, "f": 5.0})
    assert "geometric mean 1.98, minimum 0.50" in text and "slowest: b 0.50, c 1.00, a 2.00, e 3.00, d 4.00" in text


@pytest.mark.slow
def test_the_table_of_steps() -> None:
    line = "--only lenet5 dcgan --batch 1 2 --eval --seconds 0.1"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "train_step.py", *line.split()], capture_output=True, text=True, check=True
    )
    rows = [row.split()[:2] for row in done.stdout.splitlines()[2:]]
    assert rows == [["lenet5", "1x1x32x32"], ["lenet5", "2x1x32x32"], ["dcgan", "1x64x1x1"], ["dcgan", "2x64x1x1"]]


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_plain_numpy_trains_as_minicnn_does(name: str, benchmark: Any) -> None:
    """The same losses from the same weights, over three steps."""
    plain, net = benchmark("plain_numpy"), benchmark("nets").NETS[name]
    minicnn.manual_seed(0)
    ours, theirs = net.build(minicnn.nn), net.build(plain)

    def with_parameters(layer: Any) -> list[Any]:
        if isinstance(layer, plain.Layer):
            return [layer] if hasattr(layer, "p") else []
        return [found for part in layer.layers() for found in with_parameters(part)]

    for module, layer in zip([m for m in ours.modules() if m._parameters], with_parameters(theirs), strict=True):
        values = [p.detach().numpy() for p in module.parameters()]
        for value, own in zip(values, layer.p.values(), strict=True):
            own[...] = (value.T if isinstance(module, minicnn.nn.Linear) else value).reshape(own.shape)
    loss_fn = minicnn.nn.CrossEntropyLoss()
    optimizer = minicnn.optim.SGD(ours.parameters(), plain.LR, momentum=plain.MOMENTUM)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, *net.batch[1:]), np.float32), rng.integers(0, 10, 8)
    for _ in range(3):
        optimizer.zero_grad()
        loss = loss_fn(ours(minicnn.from_numpy(x)), minicnn.from_numpy(y))
        loss.backward()
        optimizer.step()
        assert plain.train_step(theirs, x, y) == pytest.approx(float(loss.detach()), rel=1e-4)


def test_ways_of_transfer(benchmark: Any) -> None:
    """The probe trains the head alone; fine-tuning starts at the old weights; each cell has its best way."""
    transfer = benchmark("transfer")
    minicnn.manual_seed(0)
    base = transfer.build(5)
    found = {way: transfer.prepared(way, base, 7) for way in transfer.WAYS}
    for way, (net, groups) in found.items():
        assert net[-1].out_features == 7 and minicnn.equal(net[0].weight, base[0].weight) == (way != "scratch")
        trained = {name.partition(".")[0] for name, p in net.named_parameters() if p.requires_grad}
        assert trained == ({"13"} if way == "probe" else {"0", "1", "4", "5", "8", "9", "13"})
        assert len(groups) == {"scratch": 14, "fine-tune": 3}.get(way, 1)
    images = minicnn.rand(20, 1, 16, 16), minicnn.arange(20) % 7
    net, groups = found["probe"]
    transfer.fit(net, images, groups, 2, seed=0)
    assert all(minicnn.equal(net[k].running_mean, base[k].running_mean) for k in (1, 5, 9))
    cells = {"little, similar": {way: [0.1 * k, 0.2 * k] for k, way in enumerate(transfer.WAYS)}}
    table = transfer.table(cells)
    assert table["little, similar", "best"] == "fine-tune, one rate" and table["little, similar", "probe"].startswith(
        "15.0"
    )


def test_what_helps_lenet(benchmark: Any) -> None:
    """Validation alone decides, and of two initialisations one is taken."""
    ablation = benchmark("lenet_ablation")
    tops = dict.fromkeys(ablation.CHANGES, 0.5) | {"Xavier init": 0.7, "He init": 0.6, "mixup": 0.6, ablation.TTA: 0.51}
    rows = {name: {"val": [top, top], "test": [1 - top, 1 - top]} for name, top in tops.items()}
    rows["moving average"]["val"] = [0.9, float("nan")]  # diverged
    chosen = ablation.helpful(rows)
    assert chosen == ["Xavier init", "mixup", ablation.TTA]
    lines = ablation.table(rows, chosen).splitlines()
    assert "| mixup | 60.00 (60.00 to 60.00) | 40.00 (40.00 to 40.00) | -10.00 (-10.00 to -10.00) | yes |" in lines


@pytest.mark.slow
def test_the_ablation_of_lenet(tmp_path: Path) -> None:
    """All trainings, short; a second call repeats none, and other settings in the same folder are refused."""
    command = [sys.executable, BENCHMARKS / "lenet_ablation.py", "--short", "--seeds", "0", "--epochs", "1"]
    command += ["--out", tmp_path]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads((tmp_path / "lenet_ablation.json").read_text())
    assert len(found["accuracies"]) == 10 and first.stdout.count("seed 0: test accuracy") == 9
    assert (tmp_path / "lenet_ablation.png").stat().st_size > 10_000
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "seed 0" not in again.stdout
    assert json.loads((tmp_path / "lenet_ablation.json").read_text()) == found
    other = subprocess.run([*command, "--epochs", "2"], capture_output=True, text=True, check=False)
    assert other.returncode == 2 and "other settings" in other.stderr
