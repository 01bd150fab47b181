"""A net on CIFAR-10 with one recipe, in minicnn and in PyTorch: the accuracy of every epoch, and a figure.

    MINICNN_DATA=/path/to/data python benchmarks/cifar.py minicnn torch [--recipe NAME] [--epochs N] [--seed 0]

Both start with the same weights, and get the same batches, with the same crops and flips, from minicnn's loader. They
have the same recipe, with their own optimiser and schedule. All 50,000 images are trained on: the test images are
evaluated after each epoch, for the curve, and nothing is chosen by them; the result is that of the last epoch. If the
recipe looks at several views of a test image, `views_top1` is the last net's accuracy with them.

The results are written to benchmarks/results after each epoch; a contender that is not named keeps its earlier results,
so that the two can be trained at different times.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from timing import libraries, machine

RESULTS = Path(__file__).parent / "results"
SHORT = "resnet-cifar-short"
TIMES = {  # the schedules that both have, and the options that are shares of the training in a recipe
    "OneCycleLR": "total_steps", "CosineAnnealingLR": "T_max", "MultiStepLR": "milestones",
}  # fmt: skip


def find(name: str, epochs: int | None = None) -> Any:
    """The recipe of this name, or of a file, for CIFAR-10.

    Raises:
        ValueError: it has a net or a setting that this program does not train in PyTorch.
    """
    from dataclasses import replace

    from minicnn.train import find_recipe

    recipe = find_recipe(None, "cifar10", name)
    plain = {"schedule_every": "step", "loss": "CrossEntropyLoss"}  # else a default that means: not used
    others = ("warmup", "clip_norm", "mixup", "cutmix", "ema", "progressive", "weights", "classes")
    used = [key for key in others if getattr(recipe, key)]
    used += [key for key, value in plain.items() if getattr(recipe, key) != value]
    used += [] if recipe.schedule in TIMES else ["schedule"]
    used += [] if recipe.optimizer == "SGD" else ["optimizer"]
    used += [] if re.fullmatch(r"resnet(20|32|44|56|110)|wrn_\d+_\d+|airbench94", recipe.model) else ["model"]
    if used:
        shown = ", ".join(f"{key} = {getattr(recipe, key)!r}" for key in used)
        raise ValueError(f"the recipe {recipe.name} has what is not trained in PyTorch here: {shown}")
    return recipe if epochs is None else replace(recipe, epochs=epochs)


def loaders(recipe: Any, seed: int, images: int | None = None) -> tuple[Any, Any]:
    """The batches of the recipe, the same for the same seed; `images` limits the training images to the first ones."""
    from minicnn.train import build_dataset
    from minicnn.utils.data import DataLoader, Subset

    train_set = build_dataset(recipe.dataset, train=True, steps=recipe.train_transforms)
    test_set = build_dataset(recipe.dataset, train=False, steps=recipe.transforms)
    chosen = train_set if images is None else Subset(train_set, range(images))
    return (
        DataLoader(chosen, recipe.batch_size, shuffle=True, seed=seed),
        DataLoader(test_set, recipe.eval_batch_size),
    )


def start(recipe: Any, seed: int, images: Any) -> tuple[Any, Any]:
    """minicnn's net with the weights that belong to the seed and the training images, and its optimiser."""
    import minicnn
    from minicnn.train import build_model, build_optimizer
    from minicnn.train.recipes.starting import prepare_weights, whiten

    minicnn.manual_seed(seed)
    model = build_model(recipe.model, recipe.model_options)
    prepare_weights(model, recipe)
    whiten(model, recipe, images)
    return model, build_optimizer(recipe.optimizer, model, recipe.optimizer_options, recipe.decay, recipe.rates)


def train_minicnn(recipe: Any, seed: int, save: Any) -> None:
    """Train in minicnn."""
    from minicnn.train import build_loss, build_schedule, train

    batches, test = loaders(recipe, seed)
    model, optimizer = start(recipe, seed, batches.dataset)
    schedule = build_schedule(recipe.schedule, recipe.schedule_options, optimizer, recipe.epochs, len(batches))
    history = train(
        model, batches, test, optimizer, build_loss(recipe.loss, recipe.loss_options), recipe.epochs,
        scheduler=schedule, schedule_every=recipe.schedule_every,
        save=lambda history: save([as_row(epoch) for epoch in history]),
    )  # fmt: skip
    rows = [as_row(epoch) for epoch in history]
    save([*rows[:-1], rows[-1] | views(recipe, model.eval(), test)])


def views(recipe: Any, scores: Any, test: Any) -> dict[str, float]:
    """The accuracy on the test set with the mean probabilities of the recipe's views of each image, if it has any."""
    import minicnn

    if recipe.tta is None:
        return {}
    named, right, count = minicnn.train.named_views(recipe.tta), 0, 0
    with minicnn.no_grad():
        for images, targets in test:
            mean = minicnn.stack([scores(view(images)).softmax(1) for view in named]).mean(0)
            right, count = right + int((mean.argmax(1) == targets).sum()), count + len(targets)
    print(f"test accuracy with {len(named)} views: {right / count:.2%}", flush=True)
    return {"views_top1": right / count}


def as_row(epoch: Any) -> dict[str, Any]:
    """The results of an epoch under the names of the results file: what is judged here is the test set."""
    return {name.replace("val_", "test_"): value for name, value in epoch._asdict().items() if name != "lr"}


def torch_net(torch: Any, name: str) -> Any:
    """The net of this name in PyTorch; the parts that have weights are in the order of minicnn's."""
    if name == "airbench94":
        return torch_airbench(torch)
    if name.startswith("resnet"):
        return torch_resnet(torch, (int(name.removeprefix("resnet")) - 2) // 6)
    depth, width = map(int, name.removeprefix("wrn_").split("_"))
    return torch_wide_resnet(torch, (depth - 4) // 6, width)


def torch_resnet(torch: Any, blocks: int = 3) -> Any:
    """The CIFAR ResNet of 6 * blocks + 2 layers in PyTorch, with shortcuts padded with zeros."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
            self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
            self.stride, self.more = stride, out - channels

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            shortcut = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
            return torch.relu(y + shortcut)

    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for out in (16, 32, 64):
        for i in range(blocks):
            layers.append(Block(channels, out, 2 if i == 0 and out > 16 else 1))
            channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def torch_wide_resnet(torch: Any, blocks: int, width: int) -> Any:
    """The Wide ResNet of 6 * blocks + 4 layers in PyTorch."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            self.bn2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.shortcut = None if channels == out else nn.Conv2d(channels, out, 1, stride, bias=False)

        def forward(self, x: Any) -> Any:
            active = torch.relu(self.bn1(x))
            shortcut = x if self.shortcut is None else self.shortcut(active)
            return self.conv2(torch.relu(self.bn2(self.conv1(active)))) + shortcut

    layers, channels = [nn.Conv2d(3, 16, 3, 1, 1, bias=False)], 16
    for out in (16 * width, 32 * width, 64 * width):
        for i in range(blocks):
            layers.append(Block(channels, out, 2 if i == 0 and out > 16 * width else 1))
            channels = out
    layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*layers)


def torch_airbench(torch: Any) -> Any:
    """The net of airbench94 in PyTorch."""
    nn = torch.nn

    class Scale(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x / 9

    def block(channels: int, out: int) -> list[Any]:
        first, second = (nn.Conv2d(c, out, 3, padding=1, bias=False) for c in (channels, out))
        norms = [nn.BatchNorm2d(out, momentum=0.4) for _ in range(2)]
        return [first, nn.MaxPool2d(2), norms[0], nn.GELU(), second, norms[1], nn.GELU()]

    layers = [nn.Conv2d(3, 24, 2), nn.GELU(), *block(24, 64), *block(64, 256), *block(256, 256)]
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Scale())


def torch_optimizer(torch: Any, model: Any, ours: Any, own: Any, recipe: Any) -> Any:
    """PyTorch's optimiser, with the groups of parameters that minicnn's has, and the same parameters frozen."""
    pairs = {id(one): other for one, other in zip(ours.parameters(), model.parameters(), strict=True)}
    for one in ours.parameters():
        pairs[id(one)].requires_grad_(one.requires_grad)
    groups = [
        {"params": [pairs[id(one)] for one in group["params"]]} | {key: group[key] for key in ("lr", "weight_decay")}
        for group in own.param_groups
    ]
    return torch.optim.SGD(groups, **recipe.optimizer_options)


def torch_schedule(torch: Any, recipe: Any, optimizer: Any, steps: int) -> Any:
    """PyTorch's schedule of the recipe; times are shares of the training in a recipe, and steps in PyTorch."""
    key, options = TIMES[recipe.schedule], dict(recipe.schedule_options)
    share = options.get(key, 1.0)
    options[key] = [round(one * steps) for one in share] if isinstance(share, list | tuple) else round(share * steps)
    if recipe.schedule == "OneCycleLR":
        options.setdefault("max_lr", [group["lr"] for group in optimizer.param_groups])
    return getattr(torch.optim.lr_scheduler, recipe.schedule)(optimizer, **options)


def train_torch(torch: Any, recipe: Any, seed: int, save: Any) -> None:
    """Train in PyTorch, from minicnn's weights, on minicnn's batches."""
    import minicnn

    batches, test = loaders(recipe, seed)
    ours, own = start(recipe, seed, batches.dataset)
    model = torch_net(torch, recipe.model)
    arrays = [torch.from_numpy(value.numpy().copy()) for value in ours.state_dict().values()]
    model.load_state_dict(dict(zip(model.state_dict(), arrays, strict=True)))
    model = model.to(memory_format=torch.channels_last)  # PyTorch's faster order for these nets
    optimizer = torch_optimizer(torch, model, ours, own, recipe)
    schedule = torch_schedule(torch, recipe, optimizer, recipe.epochs * len(batches))
    loss_fn, history = torch.nn.CrossEntropyLoss(**recipe.loss_options), []
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        begin, loss_sum, right, count = time.perf_counter(), 0.0, 0, 0
        for images, targets in batches:
            x = torch.from_numpy(images.array).contiguous(memory_format=torch.channels_last)
            y = torch.from_numpy(targets.array)
            optimizer.zero_grad()
            scores = model(x)
            loss = loss_fn(scores, y)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum, right, count = (
                loss_sum + loss.item() * len(y),
                right + int((scores.argmax(1) == y).sum()),
                count + len(y),
            )
        seconds = time.perf_counter() - begin
        test_loss, test_top1 = torch_evaluate(torch, model, test, loss_fn)
        row = {"epoch": epoch, "train_loss": loss_sum / count, "train_top1": right / count, "test_loss": test_loss,
               "test_top1": test_top1, "seconds": seconds, "images_per_second": count / seconds}  # fmt: skip
        history.append(row)
        print(f"torch epoch {epoch}: loss {row['train_loss']:.4f}, test accuracy {test_top1:.2%}", flush=True)
        save(history)
    with torch.no_grad():
        history[-1] |= views(recipe, lambda x: minicnn.from_numpy(model(torch.from_numpy(x.array)).numpy()), test)
    save(history)


def torch_evaluate(torch: Any, model: Any, test: Any, loss_fn: Any) -> tuple[float, float]:
    """The mean loss and the accuracy on the test set."""
    model.eval()
    loss_sum, right, count = 0.0, 0, 0
    with torch.no_grad():
        for images, targets in test:
            x, y = torch.from_numpy(images.array), torch.from_numpy(targets.array)
            scores = model(x)
            loss_sum, right, count = (
                loss_sum + loss_fn(scores, y).item() * len(y),
                right + int((scores.argmax(1) == y).sum()),
                count + len(y),
            )
    return loss_sum / count, right / count


def draw(results: dict[str, Any], file: Path) -> None:
    """The accuracy on the test set and the training loss of each epoch, one curve for each contender."""
    from minicnn.visualize.style import BLUE, ORANGE, drawing

    colors, names = {"minicnn": BLUE, "torch": ORANGE}, {"minicnn": "minicnn", "torch": "PyTorch"}
    with drawing(9, 3.8, file) as figure:
        accuracy, loss = figure.subplots(1, 2)
        for contender, history in results["epochs"].items():
            x = [row["epoch"] for row in history]
            label = f"{names[contender]}, {100 * history[-1]['test_top1']:.2f} %"
            accuracy.plot(x, [100 * row["test_top1"] for row in history], color=colors[contender], label=label)
            loss.plot(x, [row["train_loss"] for row in history], color=colors[contender], label=names[contender])
        for axes, title in ((accuracy, "Test accuracy (%)"), (loss, "Training loss")):
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.grid(axis="y")
            axes.legend(frameon=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contenders", nargs="*", choices=["minicnn", "torch"], default=["minicnn"])
    parser.add_argument("--recipe", default=SHORT, help="of a net on CIFAR-10 (default: %(default)s)")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="of the results (default: cifar, or that of the recipe)")
    args = parser.parse_args()
    found = libraries("torch" in args.contenders)
    try:
        recipe = find(args.recipe, args.epochs)
    except ValueError as error:
        parser.error(str(error))
    file = RESULTS / f"{args.name or ('cifar' if recipe.name == SHORT else recipe.name)}.json"
    about = {"name": recipe.name, "epochs": recipe.epochs, "seed": args.seed}
    results = json.loads(file.read_text()) if file.exists() else {"epochs": {}, "machine": {}}
    kept = set(results["epochs"]) - set(args.contenders)
    if kept and results["recipe"] != about:
        parser.error(
            f"{file} has results of {', '.join(kept)} with {results['recipe']}, which this training with {about} does "
            "not compare with; choose another --name"
        )
    for contender in args.contenders:

        def save(history: list[Any], contender: str = contender) -> None:
            results["recipe"] = about
            results["machine"][contender] = f"{machine(found)}, {date.today().isoformat()}"
            results["epochs"][contender] = history
            file.write_text(json.dumps(results, indent=1) + "\n")

        if contender == "minicnn":
            train_minicnn(recipe, args.seed, save)
        else:
            train_torch(found["torch"], recipe, args.seed, save)
    draw(results, file.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
