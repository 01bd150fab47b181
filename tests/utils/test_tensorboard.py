"""What `SummaryWriter` has written is read back from the event files, record by record."""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import cli, models, nn
from minicnn.train import Epoch, Run, log_epoch
from minicnn.utils.tensorboard import SummaryWriter

pytest.importorskip("tensorboardX")


def events(folder: Path) -> list[Any]:
    """All events of a folder's files: records of a length, its checksum, the bytes, and their checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.rglob("*tfevents*")):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack_from("<Q", data)
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[12 + length + 4 :]
    return found


def values(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Of each tag the steps and values."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value))
    return found


def test_numbers(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        loss = minicnn.tensor([0.5], requires_grad=True)
        for step, value in enumerate((1, 2.5, np.float32(3), loss, minicnn.tensor(4), True)):
            writer.add_scalar("loss/train", value, step, walltime=1e9 + step)
        writer.add_scalar("nan", math.nan)
    found = values(tmp_path)
    assert [(step, value.simple_value) for step, value in found["loss/train"]] == [
        (0, 1), (1, 2.5), (2, 3), (3, 0.5), (4, 4), (5, 1)
    ]  # fmt: skip
    assert math.isnan(found["nan"][0][1].simple_value)
    assert [event.wall_time for event in events(tmp_path) if event.summary.value][:2] == [1e9, 1e9 + 1]
    for wrong in (minicnn.zeros(2), "text", None, [1, 2]):
        with pytest.raises(TypeError, match=r"add_scalar: 'x' should be one number"):
            SummaryWriter(tmp_path).add_scalar("x", wrong)


def test_several_curves_in_a_chart(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalars("loss", {"train": minicnn.tensor(1.0), "val": 2}, 7)
    assert {path.name for path in (tmp_path / "loss").iterdir()} == {"train", "val"}
    assert values(tmp_path / "loss" / "val")["loss"][0][1].simple_value == 2


def test_histograms(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("w", nn.Parameter(minicnn.arange(6.0).reshape(2, 3)), 1)
        writer.add_histogram("few", minicnn.tensor([1, 1, 2]), bins=[0, 1.5, 3])
        writer.add_histogram_raw("raw", 0, 1, 3, 1.5, 1, minicnn.tensor([0.5, 1.0]), [1, 2])
        for bad in (minicnn.zeros(0), minicnn.tensor([1.0, math.nan]), [math.inf]):
            with pytest.raises(ValueError, match="'bad' needs finite values"):
                writer.add_histogram("bad", bad)
    found = {tag: entries[0][1].histo for tag, entries in values(tmp_path).items()}
    assert (found["w"].min, found["w"].max, found["w"].num, found["w"].sum) == (0, 5, 6, 15)
    assert sum(found["w"].bucket) == 6 and sum(found["few"].bucket) == 3 and list(found["raw"].bucket) == [1, 2]


def test_images_and_figures(tmp_path: Path) -> None:
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    image = minicnn.rand(3, 5, 7)
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("chw", image)
        writer.add_image("hw", (255 * image[0]).to(minicnn.uint8), dataformats="HW")
        writer.add_image("hwc", image.permute(1, 2, 0), dataformats="HWC")
        writer.add_images("batch", minicnn.rand(6, 1, 5, 7))
        writer.add_images("list", [image, image], dataformats="NCHW")
        writer.add_image_with_boxes("boxes", image, minicnn.tensor([[1, 1, 4, 3]]), labels=["a"])
        writer.add_figure("figure", Figure(figsize=(2, 1), dpi=100))
        writer.add_figure("figures", [pyplot.figure(figsize=(1, 1), dpi=50) for _ in range(2)])
    assert not pyplot.get_fignums()
    found = {tag: Image.open(io.BytesIO(v[0][1].image.encoded_image_string)) for tag, v in values(tmp_path).items()}
    np.testing.assert_allclose(np.asarray(found["chw"]).transpose(2, 0, 1), 255 * image.numpy(), atol=1)
    np.testing.assert_array_equal(np.asarray(found["hwc"]), np.asarray(found["chw"]))
    assert found["hw"].size == (7, 5) and found["figure"].size == (200, 100) and found["boxes"].size == (7, 5)
    assert found["batch"].size[0] * found["batch"].size[1] >= 6 * 35 and found["figures"].size[0] >= 50


def test_a_run_name_is_used_again(tmp_path: Path) -> None:
    """In the same second: tensorboardX's file of the second entry would replace that of the first."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_hparams({"lr": 0.1}, {"top1": float(step)}, run_name="x", global_step=step)
    found = values(tmp_path / "x")
    assert sorted((step, value.simple_value) for step, value in found["top1"]) == [(0, 0), (1, 1), (2, 2)]


def test_images_of_points_become_square(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(minicnn.rand(4, 3), label_img=minicnn.ones(4, 3, 6, 9))
    sprite = np.asarray(Image.open(next(tmp_path.rglob("sprite.png"))))
    assert sprite.shape[:2] == (18, 18) and not sprite[0].any() and not sprite[8].any() and sprite[1:7, :, :3].all()


def test_charts_of_several_curves(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_custom_scalars_multilinechart(["loss/train", "loss/val"], title="losses")
        with pytest.raises(ValueError, match="three tags, got 2"):
            writer.add_custom_scalars_marginchart(["a", "b"])
    assert "loss/val" in str(values(tmp_path))


def test_texts_settings_and_curves(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "**bold** ä", 2)
        settings = {"lr": 0.1, "net": "lenet", "flip": True, "size": minicnn.tensor(32), "none": None}
        writer.add_hparams(settings, {"top1": minicnn.tensor(0.9)}, run_name="first")
        truth, said = minicnn.tensor([0, 1, 1, 0]), minicnn.tensor([0.1, 0.9, 0.8, 0.3])
        writer.add_pr_curve("pr", truth, said, num_thresholds=5)
        writer.add_embedding(minicnn.rand(4, 3), list("abcd"), minicnn.rand(4, 1, 6, 6), 1)
        writer.add_custom_scalars({"all": {"loss": ["Multiline", ["loss/train", "loss/val"]]}})
        with pytest.raises(TypeError, match="should be dictionaries"):
            writer.add_hparams([], {})
        with pytest.raises(TypeError, match="'list' should be one number"):
            writer.add_hparams({"list": [1, 2]}, {})
    found = values(tmp_path)
    assert "**bold** ä".encode() in found["note/text_summary"][0][1].tensor.string_val[0]
    assert found["top1"][0][1].simple_value == pytest.approx(0.9)
    assert "_hparams_/session_start_info" in values(tmp_path / "first") and "pr" in found
    assert len((tmp_path / "projector_config.pbtxt").read_text()) > 20
    assert len(next(tmp_path.rglob("tensors.tsv")).read_text().splitlines()) == 4


def test_the_graph_of_a_net(tmp_path: Path) -> None:
    """Every input of a node is a node before it, and the last one leads back to the image."""
    from tensorboardX.proto.graph_pb2 import GraphDef

    for name, net, image in (
        ("plain", models.lenet5(), minicnn.rand(2, 1, 32, 32)),
        ("shortcuts", models.resnet20(), minicnn.rand(1, 3, 32, 32)),
        ("branches", models.googlenet(num_classes=3, aux_logits=False, init_weights=False), minicnn.rand(1, 3, 64, 64)),
    ):
        before = {key: value.clone() for key, value in net.state_dict().items()}
        with SummaryWriter(tmp_path / name) as writer:
            writer.add_graph(net, image)
        assert net.training and all((value == before[key]).all() for key, value in net.state_dict().items())
        (graph,) = [GraphDef.FromString(e.graph_def) for e in events(tmp_path / name) if e.graph_def]
        known: set[str] = set()
        for node in graph.node:
            assert node.name not in known and all(source.partition(":")[0] in known for source in node.input), node
            known.add(node.name)
        reached, by_name = {"output"}, {node.name: node for node in graph.node}
        for node in reversed(graph.node):
            if node.name in reached:
                reached |= {source.partition(":")[0] for source in node.input}
        assert "input" in reached and all(node.name in reached for node in graph.node if node.op == "Convolution")
        convolutions = [node for node in graph.node if node.op == "Convolution"]
        assert len(convolutions) == sum(isinstance(module, nn.Conv2d) for module in net.modules())
        sizes = [dim.size for dim in by_name["output"].attr["_output_shapes"].list.shape[0].dim]
        assert sizes == list(net.eval()(image).shape)
    with pytest.raises(TypeError, match="add_graph: takes a module and its input"):
        writer.add_graph(net)


def test_epochs(tmp_path: Path) -> None:
    net = nn.Linear(2, 1)
    net(minicnn.ones(1, 2)).sum().backward()
    rows = [Epoch(*range(1, len(Epoch._fields) + 1)), Epoch(2, *range(len(Epoch._fields) - 1))]
    with SummaryWriter(tmp_path) as writer:
        for row in rows:
            log_epoch(writer, row, net)
    found = values(tmp_path)
    assert [step for step, _ in found["loss/train"]] == [1, 2] and found["loss/train"][0][1].simple_value == 2
    assert len([tag for tag in found if tag[:4] not in ("weig", "grad")]) == len(Epoch._fields) - 1
    assert {"weights/weight", "gradients/bias", "epoch/seconds"} <= set(found)


def test_the_command_writes_curves(tmp_path: Path) -> None:
    run = ["train", "--epochs", "2", "--set", "train_size=100", "--quiet", "--out", str(tmp_path / "run")]
    assert cli.main([*run, "--tensorboard", str(tmp_path / "board")]) == 0
    found = values(tmp_path / "board")
    assert [step for step, _ in found["top1/val"]] == [1, 2] == [step for step, _ in found["epoch/lr"]]
    history = Run.open(tmp_path / "run").history()
    assert [v.simple_value for _, v in found["loss/train"]] == pytest.approx([row.train_loss for row in history])


def test_the_default_folder_and_later_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter(comment="-mine")
    writer.add_scalar("a", 1)
    writer.flush()
    assert values(tmp_path)["a"] and writer.log_dir.endswith("-mine") and writer.get_logdir() == writer.log_dir
    writer.close()
    writer.close()
    writer.add_scalar("a", 2)
    writer.close()
    assert len(values(tmp_path)["a"]) == 2


def test_without_the_package(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['tensorboardX'] = None\n"
        "from minicnn.utils.tensorboard import SummaryWriter\n"
        "try: SummaryWriter('x')\nexcept ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert 'pip install "minicnn[tensorboard]"' in done.stdout and not list(tmp_path.iterdir())
