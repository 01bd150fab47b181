"""Every question, for many numbers: the calculation holds and leads to the library's answer, mistakes are named."""

from __future__ import annotations

import re
from random import Random

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.analysis import properties, receptive_field
from minicnn.exercises import quiz
from minicnn.exercises.quiz import bugs, catalog, costs, curves, fields, inception, layers, metrics, nets, sizes
from minicnn.exercises.quiz.question import Question

FEW = {"bug-inception": 6, "bug-residual": 4, "bug-comparison": 4, "inception-operations": 8, "inception-shape": 8}


def value(text: str) -> float | None:
    """The number of a calculation, or None if it is none."""
    bare = text.replace(",", "").strip()
    if not re.fullmatch(r"(ceil\()?[\d.+*/() -]+", bare) or not re.search(r"\d", bare):
        return None
    return float(eval(bare, {"ceil": lambda x: -(-x // 1)}))


def equations(question: Question) -> list[tuple[str, float, float]]:
    """Left and right side of every "=" of the steps that are calculations."""
    found = []
    for step in question.steps:
        if step.startswith("P = "):
            step = step.partition(": ")[2]
        for left, right in re.findall(r"([^=:;]+) = ([\d.,]+)", step):
            left = re.sub(r".*?(?=[\d(]*[\d(])", "", left, count=1) if value(left) is None else left
            found.append((step, value(left), value(right.rstrip(",."))))
    return found


@pytest.mark.parametrize("name", quiz.TEMPLATES)
def test_drawn_questions(name: str) -> None:
    for seed in range(FEW.get(name, 25)):
        one = quiz.generate(name, seed)
        check(one)
    assert one == quiz.generate(name, seed) == quiz.question(f"{name}-{seed}")  # the same again


@pytest.mark.parametrize("name", quiz.TEMPLATES)
def test_the_questions_of_the_slides(name: str) -> None:
    for i, one in enumerate(quiz.slides(name), 1):
        assert one.id == f"{name}-slide-{i}" and one == quiz.question(one.id)
        check(one)


def check(one: Question) -> None:
    assert one.topic in quiz.TOPICS and one.text.endswith(("?", ".", ")")) and one.steps
    for step, left, right in equations(one):
        assert left is not None and right is not None, step
        assert abs(left - right) < 0.006, step  # 2.33 is rounded
    assert one.check(one.answer) == one.check(one.solution) and one.check(one.answer).right
    if one.kind == "number" and one.answer and one.unit not in ("epoch", "%"):
        assert re.search(rf"(?<![\d,]){one.answer:g}\b|(?<!\d){one.answer}\b", one.steps[-1]), (
            "the last step is the answer"
        )
    if one.kind == "shape" and one.answer is not None and one.topic == "sizes":
        numbers = [int(right) for _, _, right in equations(one) if right == int(right)]
        assert not numbers or numbers[-1] in one.answer or "rounded down" in " ".join(one.steps)
    assert len({repr(m.answer) for m in one.mistakes}) == len(one.mistakes)
    for mistake in one.mistakes:
        if one.several:
            assert mistake.answer in range(len(one.options))
            continue
        verdict = one.check({mistake.answer} if one.kind == "choice" else mistake.answer)
        assert not verdict.right and verdict.understood and verdict.text.startswith("Not right: "), mistake
    if one.kind == "choice":
        assert isinstance(one.answer, frozenset) and all(0 <= n < len(one.options) for n in one.answer)
        assert len(set(one.options)) == len(one.options) and (one.several or len(one.answer) == 1)


def test_the_calculations_are_found() -> None:
    """The test above would accept a question whose calculations it cannot read."""
    counts = {name: sum(len(equations(one)) for one in quiz.slides(name)) for name in quiz.TEMPLATES}
    for name in ("output-size", "padding", "output-volume", "parameters", "flops", "output-bytes", "net-total",
                 "receptive-field", "inception-operations", "top-k"):  # fmt: skip
        assert counts[name] >= 2, name
    wrong = Question("Why?", "number", 5, ("side: (7 + 2*0 - 3) / 2 + 1 = 5",), topic="sizes")
    with pytest.raises(AssertionError, match=r"\(7 \+ 2\*0 - 3\)"):
        check(wrong)


# ---------------------------------------------------------------------------------- against layers that really run


def test_sizes_are_those_of_layers_that_run() -> None:
    for seed in range(12):
        given = quiz.TEMPLATES["chain"].draw(Random(seed))
        x = minicnn.zeros(1, *given["size"])
        with minicnn.no_grad(), minicnn.use(backend="numpy"):
            for filters, kernel, stride, padding in given["layers"]:
                x = nn.Conv2d(x.shape[1], filters, kernel, stride, padding)(x)
        assert sizes.volume(**given).answer == tuple(x.shape[1:])


def test_exact_padding_is_the_smallest_that_fits() -> None:
    for size, kernel, stride, padding in (
        (32, 5, 2, None),
        (7, 3, 3, 1),
        (11, 5, 2, 0),
        (13, 7, 4, 1),
        (26, 3, 4, None),
    ):
        one = sizes.exact_padding(size, kernel, stride)
        assert one.answer == padding
        fitting = [p for p in range(kernel) if (size + 2 * p - kernel) % stride == 0]
        assert fitting[:1] == ([] if padding is None else [padding])
    with pytest.raises(ValueError, match="no padding below 3 gives 40 for an image of 32"):
        sizes.padding_for(32, 3, 1, 40)


def test_a_window_larger_than_the_image_does_not_fit() -> None:
    one = sizes.output_size_of((4, 9), 5)
    assert one.answer is None and "larger than the padded image" in " ".join(one.steps) and not one.note
    assert one.check("no fit").right and not one.check("1x5").right


def test_parameters_are_those_of_layers() -> None:
    for seed in range(20):
        case = costs.draw_case(Random(seed))
        net = {
            "dense": lambda c: nn.Linear(int(np.prod(c.size)), c.outputs),
            "conv": lambda c: nn.Conv2d(c.size[0], c.outputs, c.kernel),
            "pool": lambda c: nn.MaxPool2d(c.kernel),
        }[case.kind](case)
        assert costs.parameters(case).answer == sum(p.numel() for p in net.parameters())
    with pytest.raises(ValueError, match="kind must be dense, conv or pool"):
        costs.Case("norm", (3, 8, 8)).cost()


def test_fields_are_measured_by_gradients() -> None:
    """The pixels with a gradient, with all weights 1: an independent count of the receptive field."""
    window = fields.Window
    for windows in (
        (window(3), window(3, 2), window(5)),
        (window(3, 1, 2), window(2, 2, 1, True), window(3)),
        (window(7, 3), window(3, 2, 3)),
    ):
        net = nn.Sequential()
        for k, s, d, pool in windows:
            net.append(nn.AvgPool2d(k, s) if pool else nn.Conv2d(1, 1, k, s, dilation=d, bias=False))
        for p in net.parameters():
            nn.init.ones_(p)
        x = minicnn.zeros(1, 1, 60, 60, requires_grad=True)
        with minicnn.use(backend="numpy"):
            y = net(x)
            y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
        rows = np.flatnonzero(np.abs(x.grad.numpy()[0, 0]).sum(1))
        assert fields.stack(windows).answer == rows[-1] - rows[0] + 1
    for model in ("lenet5", "alphago"):
        found = receptive_field(
            minicnn.models.get_model(model), {"lenet5": (1, 32, 32), "alphago": (48, 19, 19)}[model]
        )
        one = fields.decision(model)
        (number,) = one.answer
        assert list(nets.places(model))[number] == found.decision.name
    with pytest.raises(ValueError, match="lenet5 has no window layer"):
        fields.net_field("lenet5", "classifier.1")


def test_what_is_measured_agrees_with_the_analysis() -> None:
    """`shifted` runs the layer; `properties` follows its operations without a number."""
    seen = set()
    for name, make in layers.LAYERS.items():
        layer = make()
        found = layers.shifted(layer)
        expected = properties(layer, (layers.CHANNELS, layers.SIDE, layers.SIDE)).shift
        assert found.verdict == expected or name == "flatten", (name, found)
        assert layer.training
        seen.add(found.verdict)
    assert seen == {"equivariant", "invariant", "neither"}
    assert not layers.shifted(nn.ZeroPad2d((0, 0, 0, 0))).moved
    with pytest.raises(ValueError, match="what must be one of fixed_size, global_context, got 'size'"):
        layers.needs(("convolution",), "size")
    with pytest.raises(ValueError, match="there is no layer 'attention'; there are convolution, "):
        layers.parametric(("attention",))


def test_metrics_are_a_count_by_hand() -> None:
    for seed in range(10):
        given = quiz.TEMPLATES["top-k"].draw(Random(seed))
        hits = [
            t in sorted(range(len(row)), key=lambda c: -row[c])[: given["k"]]
            for row, t in zip(given["scores"], given["targets"], strict=True)
        ]
        share = 100 * sum(hits) / len(hits)
        assert metrics.top_k(**given).answer == pytest.approx(100 - share if given["error"] else share)


def test_words_of_questions() -> None:
    """What is one and what is several, and sentences that begin with a capital."""
    steps = sizes.output_size_of((41, 41), 3, 3).steps[1], sizes.output_size_of((7, 7), 3, 3).steps[1]
    assert "2 rows or columns of 41" in steps[0] and "1 row or column of 7" in steps[1]
    assert "one output: 1*1*1 = 1 MAC" in costs.macs(costs.Case("conv", (1, 8, 8), 4, 1)).steps
    for one in (fields.decision("alphago"), fields.net_field("alphago", "features.2")):
        assert one.text.startswith("The policy net of AlphaGo ")
    wide = next(one for one in map(fields.net_field, ["alphago"] * 20, fields._chain("alphago")) if one.answer >= 19)
    assert "a value in the middle can depend on all of it; near the edge, part of the field is padding" in wide.note


def test_layers_are_asked_about_where_they_have_one_answer() -> None:
    """Dropout and batch normalisation do something else in training; a flattened image shifts, in its own order."""
    template = quiz.TEMPLATES["equivariance"]
    assert "flatten" not in {template.draw(Random(seed))["name"] for seed in range(300)}
    assert "in evaluation mode" in layers.equivariance("dropout").text
    assert "In evaluation mode" in layers.needs(("batch normalisation",), "global_context").text


# ------------------------------------------------------------------------------------------------- curves and programs


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("epochs", [8, 14, 20])
def test_curves_look_like_what_they_are_called(seed: int, epochs: int) -> None:
    chance = np.log(10)
    found = {name: curves.curves(name, epochs, 10, seed) for name in curves.PHENOMENA}
    t, v = map(np.array, found["overfitting"])
    best = int(v.argmin())
    assert 1 <= best < epochs - 2 and v[-1] > 1.3 * v[best] and t[-1] < 0.25 * v[-1]
    assert np.count_nonzero(v == v[best]) == 1
    t, v = map(np.array, found["underfitting"])
    assert t[-1] > 0.6 * chance and abs(v[-1] - t[-1]) < 0.1 * chance and abs(t[-1] - t[-4]) < 0.05 * chance
    t, v = map(np.array, found[curves.TOO_HIGH])
    assert np.count_nonzero(np.diff(np.sign(np.diff(t)))) >= epochs // 3 and np.abs(np.diff(t)).max() > 0.1 * chance
    t, v = map(np.array, found[curves.TOO_LOW])
    assert t[-1] > 0.6 * chance and t[-4] - t[-1] > 0.4 * (t[0] - t[3]) and t[0] - t[-1] > 0.1 * chance
    t, v = map(np.array, found["data that are prepared differently for training and validation"])
    assert t[-1] < 0.2 * chance and v.min() > 0.95 * chance
    t, v = map(np.array, found["a good fit"])
    assert t[-1] < 0.2 * chance and 0 < v[-1] - t[-1] < 0.1 * chance and v[-1] < v.min() + 0.05 * chance


def test_one_epoch_is_the_best() -> None:
    for seed in range(2000):
        v = quiz.generate("curve-epoch", seed).curves.validation
        assert v.count(min(v)) == 1, seed


def test_causes_that_look_alike_are_not_asked_for_together() -> None:
    """A learning rate that is too high, or lowered too early, lets losses level off high as well."""
    learning = {*curves.PHENOMENA[curves.TOO_HIGH].causes, *curves.PHENOMENA[curves.TOO_LOW].causes}
    assert not any(learning & set(curves.causes("underfitting", seed=seed).options) for seed in range(50))


def test_the_chart_has_the_numbers() -> None:
    found = curves.Curves((2.0, 1.0, 0.5), (2.0, 1.5, 1.75))
    rows = curves.chart(found).splitlines()
    assert rows[0].endswith("2") and rows[1].split() == ["1", "2.000", "2.000", "x"]
    width = curves.WIDTH
    assert [rows[2].index(mark) - rows[2].index("1.500") - 7 for mark in "tv"] == [width // 2, int(width * 0.75)]
    for wrong, message in (({"phenomenon": "luck"}, "there is no phenomenon 'luck'"),
                           ({"phenomenon": "overfitting", "epochs": 3}, "at least 8 epochs")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            curves.curves(**wrong)
    with pytest.raises(ValueError, match="a good fit needs no cure"):
        curves.cures("a good fit")
    with pytest.raises(ValueError, match="a good fit has no causes"):
        curves.causes("a good fit")


def test_early_stopping_names_the_usual_mistakes() -> None:
    one = curves.best_epoch("overfitting")
    v = one.curves.validation
    assert one.answer == int(np.argmin(v)) + 1
    assert "the training loss is lowest" in one.check(int(np.argmin(one.curves.training)) + 1).text
    assert one.check(f"epoch {one.answer}").right and "already risen" in one.check(int(one.answer) + 1).text


def test_programs_run_before_and_after() -> None:
    one = bugs.inception(32, 7, (8, 12, 6, 5), (4, 3), branch=4)
    assert any("run as it stands: ShapeError: cat:" in step for step in one.steps)
    assert one.steps[-1] == "run after the change: a tensor of shape (1, 31, 7, 7)"
    assert "in b4" in one.solution and "MaxPool2d(3, stride=1)" in one.block
    one = bugs.residual(8, 6)
    assert any("TypeError" in step and "kernel_size" in step for step in one.steps)
    one = bugs.comparison(4, 9, 5)
    assert "run as it stands: a tensor of shape (1, 4, 5, 5)" in one.steps and "padding=2" in one.solution
    one = bugs.accuracy()
    assert one.solution.endswith("max instead of min")
    wrong = next(i for i, option in enumerate(one.options) if option.startswith("!="))
    assert "with this change it gives: 0." in one.check({wrong}).text
    state = minicnn.get_rng_state()
    bugs.flatten(20, 4, 3)
    np.testing.assert_array_equal(minicnn.get_rng_state(), state)
    for call, message in (
        (lambda: bugs.inception(branch=1), "branch must be 2, 3 or 4, got 1"),
        (lambda: bugs.comparison(kernel=4), "kernel must be odd"),
        (lambda: bugs.accuracy(samples=5, classes=5), "more than one right change"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_missing_argument_can_be_written_in_several_ways() -> None:
    one = bugs.missing_argument(4, 16, 5)
    for typed in ("padding=2", "padding = 2", "padding=(2, 2)", "padding='same'", 'padding="same"', "2"):
        assert one.check(typed).right, typed
    assert "it gives: a tensor of shape (1, 4, 20, 20)" in one.check("padding=4").text
    assert one.check("stride=1") == (False, "Not right.", True)
    wide = bugs.missing_argument(4, 16, 3, dilation=2)
    assert wide.answer == "padding=2" and "shape (1, 4, 14, 14)" in wide.check("padding=1").text
    assert any("2*(3 - 1) + 1 = 5" in step for step in wide.steps)
    with pytest.raises(ValueError, match="kernel must be odd"):
        bugs.missing_argument(kernel=2)


def test_a_program_has_exactly_one_remedy() -> None:
    change = bugs.Change("2", "1", "2")
    program = bugs.Program("result = 1", "2", lambda r: r == 2, str, (change, change), {})
    with pytest.raises(ValueError, match="2 of the changes mend the program"):
        bugs.find(program)
    with pytest.raises(ValueError, match="the text to replace is not in the program: '3'"):
        bugs.find(program._replace(changes=(change, bugs.Change("3", "3", "2"))))


def test_inception_names_the_sum_that_a_course_prints() -> None:
    one = inception.operations(reduced=True)
    assert "twice, as a course does" in one.check("358,055,936").text and "358 million" in one.note
    assert not inception.operations(reduced=True, channels=64).note


# ------------------------------------------------------------------------------------------------------ the catalogue


def test_choices_of_questions() -> None:
    found = quiz.questions(number=60, seed=4)
    assert len(found) == 60 and len({(one.text, one.block) for one in found}) == 60
    assert {one.topic for one in found} == set(quiz.TOPICS)
    assert [one.id for one in found] == [one.id for one in quiz.questions(number=60, seed=4)]
    assert [one.id for one in found[:10]] != [one.id for one in quiz.questions(seed=5)]
    assert {one.topic for one in quiz.questions("fields", 7)} == {"fields"}
    assert {one.id.rpartition("-")[0] for one in quiz.questions("macs", 3)} == {"macs"}
    assert [one.id for one in quiz.questions("macs-12")] == ["macs-12"]
    assert len(quiz.questions("bug-residual", 200)) <= 16  # there are 4 x 4 programs of this kind
    slides = quiz.questions(from_slides=True)
    assert len(slides) == sum(len(one.slides) for one in quiz.TEMPLATES.values()) and len(slides) > 50
    assert quiz.questions("sizes", 2, from_slides=True) == slides[:2]


def test_more_questions_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search ends when nothing new is found, and not only after a number of turns."""
    made, generate = [], catalog.generate
    monkeypatch.setattr(catalog, "generate", lambda name, seed: made.append(name) or generate(name, seed))
    assert len(quiz.questions("decision-layer", 5000)) == len(fields.CHAINS) and len(made) < 200


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quiz.questions("sise"), "there is no topic or question 'sise'; topics: sizes, costs"),
        (lambda: quiz.questions("sise-3"), "there is no question 'sise-3'; an id is a name and a number"),
        (lambda: quiz.question("macs-slide-0"), "there is no question 'macs-slide-0'"),
        (lambda: quiz.questions(number=0), "number must be a whole number from 1, got 0"),
        (lambda: quiz.generate("macs", -1), "the seed must be a whole number from 0, got -1"),
        (lambda: quiz.generate("macz"), "there is no question 'macz'"),
        (lambda: quiz.slides("macz"), "there is no question 'macz'"),
        (lambda: nets.layer_shape("lenet5", "conv9"), "lenet5 has no layer 'conv9'; its layers are features.0"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()  # type: ignore[operator]
