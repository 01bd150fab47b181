"""Trained weights: files with other names, parts and heads."""

from __future__ import annotations

import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytorch_files import archive, numbers, sequence, storage, tensor, text
from state_dicts import same, values

import minicnn
from minicnn import models, nn
from minicnn.models import lenet5, load_weights
from minicnn.serialization import CheckpointError


class Net(nn.Module):
    """A net with a body, an auxiliary head and a head, of `classes` classes; the auxiliary one may be left out."""

    def __init__(self, classes: int = 10, aux: bool = True, conv: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.aux = nn.Linear(2, classes) if aux else None
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(2, classes, 1) if conv else nn.Linear(2, classes))


def as_pytorch(model: nn.Module, pack: Any) -> bytes:
    """The file of torch.save with a net's state dict."""
    parts, numbers_of = b"", {}
    for i, (name, value) in enumerate(values(model).items()):
        kind = "FloatStorage" if value.dtype == np.float32 else "LongStorage"
        part = storage(str(i), value.size, kind, old=pack is sequence)
        stride = [step // value.itemsize for step in value.strides]
        parts += text(name) + tensor(part, numbers(*value.shape), numbers(*stride))
        numbers_of[str(i)] = value.tobytes()
    data = b"\x80\2ccollections\nOrderedDict\n)R(" + parts + b"u."
    if pack is archive:
        return archive(data, numbers_of)
    head = sequence(data, dict.fromkeys(numbers_of, b""))[: -8 * len(numbers_of)]
    width = [value.itemsize for value in values(model).values()]
    return head + b"".join(
        struct.pack("<q", len(content) // w) + content for content, w in zip(numbers_of.values(), width, strict=True)
    )


# ----------------------------------------------------------------------------------------------------------- one's own


@pytest.mark.parametrize("pack", [archive, sequence, None], ids=["zip", "old", "safetensors"])
def test_a_file(tmp_path: Path, pack: Any) -> None:
    trained = lenet5()
    path = tmp_path / "lenet5.pth"
    if pack is None:
        minicnn.save(trained.state_dict(), path)
    else:
        path.write_bytes(as_pytorch(trained, pack))
    for place in (path, str(path)):
        assert same(values(lenet5(weights=place)), values(trained))
    assert same(values(lenet5(weights=path, activation="relu")), values(trained))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        lenet5(weights=tmp_path / "nowhere.pth")
    path.write_bytes(b"something else, and not short")
    with pytest.raises(CheckpointError, match="a text that begins"):
        lenet5(weights=path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}, "lr": 0.1}},
        lambda s: {"model": s, "optimizer": {0: minicnn.zeros(3)}},
        lambda s: {"arch": "net", "state_dict": s, "best_acc1": minicnn.tensor(76.1), "optimizer": {}},
        lambda s: {"model": {"name": "net", "depth": 3}, "net": s, "mean": minicnn.zeros(3)},
        lambda s: {"network": {"lr": 0.1}, "params": s},
        lambda s: {"checkpoint": {"net": s}},
        lambda s: OrderedDict((f"module.{k}", v) for k, v in s.items()),
        lambda s: {"state_dict": {f"model._orig_mod.{k}": v for k, v in s.items()}},
    ],
)
def test_checkpoints_of_other_programs(wrap: Any, tmp_path: Path) -> None:
    trained, net = Net(), Net()
    assert load_weights(net, wrap(trained.state_dict())) is net and same(values(net), values(trained))
    minicnn.save(wrap(trained.state_dict()), tmp_path / "f")
    assert same(values(load_weights(Net(), tmp_path / "f")), values(trained))


def test_what_holds_no_state_dict() -> None:
    x = minicnn.zeros(1)
    for value, message in (
        ({"epoch": 3, "lr": 0.1}, "no state dict.*but the entries epoch, lr; pass the part"),
        ({"a": {"w": x}, "b": {"w": x}}, "but the entries a, b"),
        ({}, "no state dict"),
        ({"state_dict": [1]}, "no state dict"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_weights(Net(), value)
    inside: dict[str, Any] = {}
    inside["model"] = inside
    with pytest.raises(CheckpointError, match="no state dict"):
        load_weights(Net(), inside)


def test_a_net_whose_only_part_has_the_name_of_a_wrapper() -> None:
    """What all names begin with is left out only if the net has no such part."""
    net, trained = nn.Module(), nn.Module()
    net.module, trained.module = nn.Linear(2, 2), nn.Linear(2, 2)
    assert same(values(load_weights(net, trained.state_dict())), values(trained))


def test_versions_are_kept_where_names_begin_differently() -> None:
    state = nn.DataParallel(Net()).state_dict()
    assert state._metadata["module.body.1"] == {"version": 2}
    del state["module.body.1.num_batches_tracked"]
    with pytest.raises(CheckpointError, match=r"1 of its 11 entries are missing: body\.1\.num_batches_tracked"):
        load_weights(Net(), state)
    del state._metadata  # as before PyTorch 0.4.1, when batch norms did not count
    load_weights(Net(), state)


def test_other_names() -> None:
    trained = Net()
    old = {k.replace("body.", "features.").replace("classifier.1", "fc"): v for k, v in trained.state_dict().items()}
    for rename in (
        {"features.": "body.", "fc": "classifier.1"},
        {"f": "?", "features.": "body.", "fc.": "classifier.1."},
        lambda name: name.replace("features", "body").replace("fc", "classifier.1"),
    ):
        assert same(values(load_weights(Net(), old, rename=rename)), values(trained))
    assert same(
        values(load_weights(Net(aux=False), trained.state_dict(), rename=lambda name: None if "aux" in name else name)),
        values(load_weights(Net(aux=False), trained.state_dict())),
    )
    net = Net()
    before = values(net)
    with pytest.raises(CheckpointError, match=r"(?s)8 of its 11.*body.0.weight.*9 of the file's 11.*features.*rename"):
        load_weights(net, old)
    with pytest.raises(ValueError, match="rename gives two entries the name 'x'"):
        load_weights(net, old, rename=lambda name: "x")
    assert same(values(net), before)


# ---------------------------------------------------------------------------------------------------- what does not fit


def test_another_number_of_classes() -> None:
    for options, remedy in (
        ({}, "model.aux = nn.Linear(2, 10); model.classifier[1] = nn.Linear(2, 10)"),
        ({"aux": False, "conv": True}, "model.classifier[1] = nn.Conv2d(2, 10, 1)"),
    ):
        trained, net = Net(1000, **options), Net(10, **options)  # type: ignore[arg-type]
        before = values(net)
        with pytest.raises(CheckpointError) as caught:
            load_weights(net, trained.state_dict())
        message = str(caught.value)
        assert "a net with 1000 classes, and this Net has 10" in message and "Build it with num_classes=1000" in message
        assert remedy in message and "skip_head=True" in message
        assert same(values(net), before)
        model = load_weights(Net(1000, **options), trained.state_dict())  # type: ignore[arg-type]
        exec(message.split("head: ")[1].split(". Or")[0], {"model": model, "nn": nn})
        assert {name: v.shape for name, v in values(model).items()} == {name: v.shape for name, v in before.items()}
        load_weights(net, trained.state_dict(), skip_head=True)
        after = values(net)
        for name, value in after.items():
            head = name.startswith(("aux", "classifier"))
            assert np.array_equal(value, before[name] if head else values(trained)[name])


def test_a_file_without_a_head() -> None:
    trained, net = Net(aux=False), Net(7, aux=False)
    state = {name: value for name, value in trained.state_dict().items() if not name.startswith("classifier")}
    with pytest.raises(CheckpointError, match=r"2 of its 9 .*: classifier\.1\.weight(?s:.*)skip_head=True") as caught:
        load_weights(net, state)
    assert "another net" not in str(caught.value) and "aux" not in str(caught.value)
    head = net.classifier[1].weight.detach().numpy().copy()
    load_weights(net, state, skip_head=True)
    assert np.array_equal(net.classifier[1].weight.detach().numpy(), head)
    assert np.array_equal(net.body[0].weight.detach().numpy(), trained.body[0].weight.detach().numpy())
    same_size = load_weights(Net(aux=False), trained.state_dict(), skip_head=True)
    assert same(values(same_size), values(trained))


@pytest.mark.parametrize("name, aux", [("googlenet", "aux1, aux2"), ("inception_v3", "AuxLogits")])
def test_a_file_without_auxiliary_heads(name: str, aux: str) -> None:
    with minicnn.device("meta"):
        net, plain = (models.get_model(name, aux_logits=flag, init_weights=False) for flag in (True, False))
    state = plain.state_dict()
    with pytest.raises(CheckpointError, match=rf"auxiliary heads \({aux}\): build the .* with aux_logits=False$"):
        load_weights(net, state)
    with pytest.raises(CheckpointError, match=r"aux_logits=False$"):
        load_weights(net, state, skip_head=True)
    body = {key: value for key, value in state.items() if not key.startswith("fc.")}
    with pytest.raises(CheckpointError, match=r"without a head \(fc\): build .*aux_logits=False, and .*skip_head=True"):
        load_weights(net, body)
    load_weights(plain, body, skip_head=True)
    with pytest.raises(CheckpointError, match="weights of another net, or of one"):
        load_weights(net, {key: value for key, value in body.items() if not key.startswith(next(iter(body))[:5])})


def test_images_with_another_number_of_channels() -> None:
    trained = lenet5(in_channels=3)
    message = r"of 3 channels, and this one is for 1: .*in_channels=3, or give features\.0\.weight .*\(6, 1, 5, 5\)"
    with pytest.raises(CheckpointError, match=message):
        load_weights(lenet5(), trained.state_dict())
    state = trained.state_dict()
    state["features.0.weight"] = state["features.0.weight"].sum(1, keepdim=True)
    load_weights(lenet5(), state)


def test_another_net(tmp_path: Path) -> None:
    """Short, with the remedy; and nothing is loaded."""
    net = lenet5()
    before = values(net)
    for state, message in (
        (
            nn.Sequential(*[nn.Linear(2, 2) for _ in range(400)]).state_dict(),
            "800 of the file's 800 entries are unknown",
        ),
        ({**net.state_dict(), "more": minicnn.zeros(1)}, "1 of the file's 11 entries are unknown: more\nThey are the"),
        ({"features.0.weight": minicnn.zeros(6, 1, 5, 5)}, "9 of its 10 entries are missing"),
        (
            {**net.state_dict(), "features.0.weight": minicnn.zeros(6, 1, 3, 3)},
            r"size mismatch for features\.0\.weight",
        ),
        ({**net.state_dict(), "features.0.bias": 3, "features.3.bias": "x"}, 'parameter named "features.0.bias"'),
    ):
        with pytest.raises(CheckpointError, match=message) as caught:
            load_weights(net, state)
        assert len(str(caught.value)) < 1000 and "this LeNet5, which stays as it was" in str(caught.value)
    assert same(values(net), before)
    parameters = [*net.parameters()]
    load_weights(net, lenet5().state_dict())
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))  # as an optimiser holds them


def test_what_is_no_path() -> None:
    with pytest.raises(ValueError, match=r"weights='DEFAULT': no weights are published for lenet5.*resnet18"):
        lenet5(weights="DEFAULT")
    with pytest.raises(TypeError, match="got None"):
        load_weights(Net(), None)
    with pytest.raises(ValueError, match=r"'IMAGENET1K_V1' of which model\? .*'ResNet50_Weights.IMAGENET1K_V1'"):
        load_weights(Net(), "IMAGENET1K_V1")
    for number in (0.5, [1]):
        with pytest.raises(TypeError, match=r"weights must be a path, a URL, .*got .* of type (float|list)$"):
            lenet5(weights=number)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="lenet5: the first argument is weights, got 7; write num_classes=7"):
        lenet5(7)  # type: ignore[arg-type]
    for url in ("s3://bucket/f.pth", "hf://someone/net", "ftp://server/f.pth"):
        with pytest.raises(ValueError, match=f"'{url}': .*http or https; fetch it with another program"):
            lenet5(weights=url)
    with pytest.raises(ValueError, match="http or https; give the path alone"):
        lenet5(weights="file:///tmp/f.pth")


def test_arrays_as_weights() -> None:
    trained = Net()
    state = values(trained)
    for array in state.values():
        array.flags.writeable = False
    assert same(values(load_weights(Net(), {"epoch": 3, "state_dict": state})), values(trained))
    assert same(values(load_weights(Net(), OrderedDict((f"module.{k}", v) for k, v in state.items()))), values(trained))
