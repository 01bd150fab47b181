"""What happens to trainings: kills, signals, full disks, damaged and forged checkpoints, NaN."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import STEPS, outcome, recipe, stopping, trained

import minicnn
from minicnn import cli, nn, optim
from minicnn.serialization import CheckpointError
from minicnn.tensor import Tensor
from minicnn.train import DivergedError, Progress, Run, RunError, SettingError, Training, train
from minicnn.train.runs.checkpoint import packed_state, read_state
from minicnn.train.runs.run import CHECKPOINT, CONFIG, WEIGHTS

SCRIPT = Path(__file__).parents[1] / "interrupts" / "training.py"
posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


# ---------------------------------------------------------------------------------------------------- kills and signals


def interrupted(kind: str, count: int) -> None:
    """Run the script that interrupts trainings, and print its counts."""
    paths = os.pathsep.join([str(SCRIPT.parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), kind, str(count), "1"],
        capture_output=True, text=True, timeout=900, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) >= count


@posix
@pytest.mark.parametrize("kind", ["kills", "signals"])
def test_a_few_interruptions(kind: str) -> None:
    interrupted(kind, 4)


@posix
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("kills", 200), ("signals", 50)])
def test_many_interruptions(kind: str, count: int) -> None:
    interrupted(kind, count)


# ----------------------------------------------------------------------------------------------------------- full disks


@posix
def test_a_full_disk_within_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file may grow beyond 100 KB in the steps 2 to 4: checkpoints fail, training goes on, and nothing changes."""
    import resource

    whole = outcome(trained(tmp_path / "whole").folder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    steps, kept = 0, []

    def stop() -> bool:
        nonlocal steps
        steps += 1
        kept.append(read_state(tmp_path / "run" / CHECKPOINT)["loader"]["step"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (102400 if 1 <= steps < 4 else before[0], before[1]))
        return False

    try:
        training = Training(recipe(), seed=3, backend="numpy")
        training.run(tmp_path / "run", checkpoint_every=1, stop=stop, quiet=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    err = capsys.readouterr().err
    assert err.count("a checkpoint could not be saved") == 1 and "The earlier one stays, training goes on" in err
    assert err.count("checkpoints are saved again") == 1 and "ulimit -f" in err
    assert kept[:5] == [1, 1, 1, 1, 5]
    assert outcome(tmp_path / "run") == whole


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a file system")
def test_a_file_system_without_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        run = Training(recipe(), seed=3, backend="numpy").run(place / "run", stop=stopping(2), quiet=True)
        whole = read_state(place / "run" / CHECKPOINT)
        (place / "filler").write_bytes(bytes(10_000))
        with open(place / "filler", "ab", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
        with pytest.raises(OSError, match="No space left"):
            run.save(None, [], checkpoint=whole)
        assert {path.name for path in run.folder.iterdir()} >= {CHECKPOINT, CONFIG, WEIGHTS}
        assert not [path for path in run.folder.iterdir() if path.name.endswith(".part")]
        assert read_state(place / "run" / CHECKPOINT)["loader"] == whole["loader"]
        (place / "filler").unlink()
        assert Training.resume(place / "run").run(quiet=True).is_complete
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


# --------------------------------------------------------------------------------------- damaged and forged checkpoints


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second epoch."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    Training(recipe(), seed=3, backend="numpy").run(folder, stop=stopping(STEPS + 3), quiet=True)
    return folder


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(begun, tmp_path / "run"))


def test_every_kind_of_damage_is_noticed(run: Path) -> None:
    file = run / CHECKPOINT
    data, draw, refused = file.read_bytes(), random.Random(0), 0
    header = int.from_bytes(data[:8], "little") + 8
    cuts = [*range(0, 16), *(draw.randrange(len(data)) for _ in range(30))]
    flips = [*range(8), *(draw.randrange(header) for _ in range(150)), *(draw.randrange(len(data)) for _ in range(40))]
    expected = repr(read_state(file))
    for cut in cuts:
        file.write_bytes(data[:cut])
        with pytest.raises(CheckpointError, match=re.escape(str(file))):
            read_state(file)
    for place in flips:
        file.write_bytes(data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :])
        try:
            assert repr(read_state(file)) == expected  # a space of the header that became a tab
        except CheckpointError as error:
            assert str(file) in str(error)
            refused += 1
    print(f"{len(cuts)} cut and {len(flips)} changed files; {refused} of the changed ones refused, the others equal")
    assert refused > 0.9 * len(flips)


WRONG: list[Any] = [None, -1, 2.5, "x", True, [], {}, [1, 2], {"a": 1}, 10**30, float("nan"), minicnn.zeros(3)]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the parts of an object are."""
    if way:
        yield way
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from places(part, (*way, key))


def test_forged_checkpoints_are_refused_or_harmless(run: Path) -> None:
    """Each part is replaced by values of other kinds, with right sums: never another error than a CheckpointError."""
    state = read_state(run / CHECKPOINT)
    state.pop("about")
    draw, refused, taken = random.Random(1), 0, 0
    for way in list(places(state)):
        for wrong in draw.sample(WRONG, 3):
            forged = copy.deepcopy(state)
            part = forged
            for key in way[:-1]:
                part = part[key]
            part[way[-1]] = wrong
            training = Training(recipe(), seed=3, backend="numpy") if taken + refused == 0 else training  # noqa: F821
            with minicnn.random.fork_rng():
                try:
                    training.state.load_state_dict(forged)
                    taken += 1
                except CheckpointError:
                    refused += 1
    print(f"{refused} forged states refused, {taken} taken")
    assert refused > 5 * taken


@pytest.mark.parametrize("missing", ["model", "optimizer", "loader", "random", "progress", "best", "about"])
def test_a_checkpoint_without_a_part(run: Path, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    state = read_state(run / CHECKPOINT)
    del state[missing]
    (run / CHECKPOINT).write_bytes(b"".join(bytes(piece) for piece in packed_state(state)))
    assert cli.main(["train", "--resume", str(run)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(run / CHECKPOINT) in err and "restore it" in err


def test_a_checkpoint_of_another_net(run: Path, tmp_path: Path) -> None:
    Training(recipe(model_options={"num_classes": 3}), seed=3).run(tmp_path / "other", stop=stopping(1), quiet=True)
    os.replace(tmp_path / "other" / CHECKPOINT, run / CHECKPOINT)
    with pytest.raises(CheckpointError, match=r"other settings than config.json.*num_classes was 3 and is 10"):
        Training.resume(run)


def test_a_config_with_other_settings(run: Path) -> None:
    config = json.loads((run / CONFIG).read_text())
    config["recipe"]["optimizer"]["lr"] = 0.25
    (run / CONFIG).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"recipe.optimizer.lr was 0.05 and is 0.25.*start a new run"):
        Training.resume(run)


@pytest.mark.parametrize("forged", [None, 3, [], {}, {"name": "x"}, {"model": {"name": "os.system"}}])
def test_a_config_with_a_forged_recipe(run: Path, forged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((run / CONFIG).read_text())
    config["recipe"] = forged
    (run / CONFIG).write_text(json.dumps(config))
    assert cli.main(["train", "--resume", str(run)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(run / CONFIG) in err


def test_another_machine_is_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = read_state(run / CHECKPOINT)
    state["about"]["environment"]["numpy"] = "1.0"
    (run / CHECKPOINT).write_bytes(b"".join(bytes(piece) for piece in packed_state(state)))
    assert Training.resume(run).run(quiet=True).is_complete
    assert re.search(r"numpy was '1.0' and is '.*The same bits are not promised", capsys.readouterr().err)


def test_resuming_what_cannot_be_resumed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match="is not a run"):
        Training.resume(tmp_path / "nothing")
    Training.resume(run).run(quiet=True)
    with pytest.raises(RunError, match="this training is complete"):
        Training.resume(run)
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run), "--lr", "0.1", "--epochs", "3", "--seed", "0"]) == 2
    assert "leave out --epochs, --lr, --seed" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_begins_again(run: Path, tmp_path: Path) -> None:
    (run / CHECKPOINT).unlink()
    assert Training.resume(run).run(quiet=True).is_complete
    assert outcome(run) == outcome(trained(tmp_path / "whole").folder)


def test_the_weights_that_a_training_began_with_may_be_gone(tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    minicnn.train.save_weights(start, Training(recipe()).model)
    run = Training(recipe(weights=str(start)), seed=3).run(tmp_path / "run", stop=stopping(1), quiet=True)
    start.unlink()
    assert Training.resume(run.folder).run(quiet=True).is_complete


# ------------------------------------------------------------------------------------------------ the test set, choices


@pytest.mark.parametrize("validation", [0, "test"])
def test_nothing_is_chosen_by_the_test_set(validation: Any) -> None:
    for choice in ({"early_stopping": 2}, {"schedule": "ReduceLROnPlateau", "schedule_every": "epoch"}):
        with pytest.raises(SettingError, match="validation"):
            Training(recipe(validation=validation, **choice))


def test_the_test_sets_curve_chooses_no_epoch(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", validation="test", optimizer_options={"lr": 0.05, "momentum": 0.9}, epochs=3)
    found = run.results()
    assert len(run.history()) == 3 and all(row.val_top1 >= 0 for row in run.history())
    assert (found["epoch"], found["chosen_by"], found["validation"]) == (3, "nothing: it is the last epoch", None)
    assert run.history()[-1].val_top1 == found["test"]["top1"]


def test_the_best_epoch_is_the_result(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", optimizer_options={"lr": 0.05, "momentum": 0.9}, epochs=6, batch_size=9)
    history, found = run.history(), run.results()
    best = max(history, key=lambda row: (row.val_top1, -row.val_loss))
    assert found["epoch"] == best.epoch == run.model()[1] and found["validation"]["top1"] == best.val_top1
    assert found["chosen_by"] == "the validation accuracy"


def test_early_stopping_ends_a_training(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", early_stopping=1, epochs=50, optimizer_options={"lr": 1e-9})
    assert len(run.history()) == 2 and run.config["ended"] == "early stopping after epoch 2"


# ------------------------------------------------------------------------------------------ numbers that are not finite


class Broken(nn.Module):
    """Divides by zero, backward or forward, in its third call."""

    def __init__(self, backward: bool) -> None:
        super().__init__()
        self.linear, self.calls, self.backward = nn.Linear(3, 2), 0, backward

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y = self.linear(x)
        if self.calls < 3:
            return y
        return y + (y * 0).abs().sqrt() if self.backward else y / (y * 0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (
            True,
            r"the loss is finite, but the gradient of linear.weight is not at epoch 1, step 3.*backward pass of \w+",
        ),
        (False, r"the loss is nan at epoch 1, step 3.*forward pass of Div"),
    ],
)
def test_the_operation_is_named_and_the_weights_stay(backward: bool, message: str) -> None:
    net, data = Broken(backward), [(minicnn.rand(4, 3), minicnn.tensor([0, 1, 0, 1])) for _ in range(5)]
    now, seen = Progress(), []

    def after_step() -> None:
        seen.append(net.linear.weight.detach().numpy().copy())

    with pytest.raises(DivergedError, match=message):
        train(net, data, data, optim.SGD(net.parameters(), 0.1), nn.CrossEntropyLoss(), 1, quiet=True,
              so_far=now, after_step=after_step)  # fmt: skip
    assert len(seen) == 2 and np.array_equal(net.linear.weight.detach().numpy(), seen[-1])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_last_good_checkpoint_stays(tmp_path: Path) -> None:
    training = Training(recipe(), seed=3, backend="numpy")
    run = training.prepare(tmp_path / "run")
    good = training.batch_transform
    calls = 0

    def poison(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        return (images * float("nan") if calls == 4 else images), targets

    training.batch_transform = poison  # type: ignore[assignment]
    with pytest.raises(DivergedError, match=r"epoch 1, step 4.*in layer features.0 \(Conv2d\).*already had"):
        training.run(checkpoint_every=1, quiet=True)
    assert not good and read_state(run.folder / CHECKPOINT)["loader"]["step"] == 3
    assert "step 4" in Run.open(run.folder).config["error"]
    again = Training.resume(run.folder).run(quiet=True)
    assert outcome(again.folder) == outcome(trained(tmp_path / "whole").folder)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverged_at_its_end_does_so_again(tmp_path: Path) -> None:
    for resumed in (False, True):
        training = (
            Training.resume(tmp_path) if resumed
            else Training(recipe(optimizer_options={"lr": 1e5}, clip_norm=1.0, epochs=1), seed=3)
        )  # fmt: skip
        with pytest.raises(DivergedError, match="the weights have diverged"):
            training.run(tmp_path, quiet=True)
        assert "diverged" in Run.open(tmp_path).config["error"] and not Run.open(tmp_path).is_complete
