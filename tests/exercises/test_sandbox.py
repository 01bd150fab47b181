"""Answers that do anything but answer: each gives a clear sentence, in this process or in one of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.exercises import EXERCISES, Case, Exercise, Wrong, check, check_file
from minicnn.exercises.attempt import Unusable, answer_of, load
from minicnn.exercises.grading import answered


def relu(body: str) -> Any:
    """An answer with this body."""
    space: dict[str, Any] = {"np": np, "minicnn": minicnn}
    exec(f"def relu_backward(gy, x):\n    {body}", space)
    return space["relu_backward"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return", r"it returns nothing \(None\); is `return gx` missing"),
        ("return gy[100]", "IndexError: index 100 is out of bounds"),
        ("return (gy * (x > 0)).tolist()", r"gx is a list, and must be a NumPy array; return np.array\(gx\)"),
        ("return minicnn.tensor(gy)", r"gx is a Tensor, and must be a NumPy array; return gx.numpy\(\)"),
        ("return x > 0", "gx is True or False, and must be numbers"),
        ("return 'gx'", "gx is a str, and must be a NumPy array; return numbers"),
        ("return gy.astype(object)", "gx has the type object, and must have real numbers"),
        ("return gy + 1j", "gx has the type complex128"),
        ("return (gy * (x > 0)).sum()", r"gx has the shape \(\) and must have \(5,\)"),
        ("return np.zeros(10_000_000)", "gx has the shape .10000000,., 10,000,000 numbers"),
        ("return gy * (x > 0) + np.nan", "gx has NaN"),
        ("return gy * (x > 0) + np.inf", "gx has Inf"),
        ("gy *= x > 0; return gy.copy()", r"it has changed its argument gy; work on a copy: gy = gy.copy\(\)"),
        ("x -= 1; return gy * (x > -1)", "it has changed its argument x"),
        ("return (gy * (x > 0) * 1.0000003).astype(np.float32)", "only 6 right digits: an array of float32 is in it"),
        ("raise NotImplementedError('write it')", "it is not written yet: write it"),
        ("raise SystemExit(0)", "it ends the program"),
        ("exit(1)", "it ends the program"),
        ("return relu_backward(gy, x)", "RecursionError: it calls itself too often"),
        ("input()", "Error"),
        ("raise BaseException", "BaseException"),
        ("yield gy", "gx is a generator"),
        ("print('hello', gy.shape); return gy", "It printed: hello"),
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("return object().name", "AttributeError: 'object' object has no attribute 'name'"),
        ("raise ValueError(object())", "ValueError: <object object>"),
    ],
)
def test_whatever_an_answer_does(body: str, words: str) -> None:
    report = check(relu(body))
    text = " ".join(str(report).split())
    assert not report.ok and re.search(words, text), report
    assert str(check(relu(body))) == str(report)  # no address, no time
    assert report._repr_html_().startswith("<div") and "<object" not in report._repr_html_()  # escaped


def test_output_and_warnings_of_an_answer_are_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    body = "import warnings, sys; warnings.warn('w'); print('a' * 9999); print('e', file=sys.stderr); return gy / 0 * x"
    report = check(relu(body))
    assert not report.ok and len(str(report)) < 6000
    out, err = capfd.readouterr()
    assert not out and not err


def test_a_list_that_is_changed() -> None:
    def receptive_field(layers: Any) -> Any:
        field, jump = 1, 1
        while layers:
            k, s, d = layers.pop(0)
            field, jump = field + (k - 1) * d * jump, jump * s
        return field, jump

    report = check(receptive_field)
    assert not report.ok and "it has changed its argument layers" in str(report)
    assert "layers = [(3, 1, 1)]" in str(report)


def test_a_right_answer_that_gives_back_memory_of_its_arguments() -> None:
    def dropout(x: Any, gy: Any, u: Any, p: Any, training: Any) -> Any:
        return (x * (u >= p) / (1 - p), gy * (u >= p) / (1 - p)) if training else (x, gy)

    report = check(dropout)
    assert report.ok and "Note: gx and y share memory with an argument" in str(report)


def test_several_outputs() -> None:
    right = check(lambda gy, x, w: [gy @ w, gy.T @ x, gy.sum(0)], "linear_backward")
    assert right.ok  # a list of arrays is as good as a tuple
    for answer, words in (
        (lambda gy, x, w: gy @ w, "it returns one ndarray and must return 3 values: return gx, gw, gb"),
        (lambda gy, x, w: (gy @ w, gy.T @ x), "it returns 2 values and must return 3"),
        (lambda gy, x, w: (gy @ w, gy.T @ x, None), "gb is a NoneType"),
        (lambda gy, x, w: (gy @ w, gy.sum(0), gy.T @ x), "gw has the shape (3,) and must have (3, 2)"),
        (lambda gy, x, w: (gy @ w, gy.T @ x, gy.sum(0, keepdims=True)), "gb has the shape (1, 3) and must have (3,)"),
    ):
        report = check(answer, "linear_backward")
        assert not report.ok and words in " ".join(str(report).split()), report


def test_signatures() -> None:
    assert check(lambda a, b: a * (b > 0), "relu_backward").ok  # other names
    assert check(lambda *args: args[0] * (args[1] > 0), "relu_backward").ok
    assert check(lambda a, b, c=3: a * (b > 0), "relu_backward").ok
    for wrong in (lambda gy: gy, lambda gy, x, z: gy):
        assert "relu_backward takes (gy" in str(check(wrong, "relu_backward"))
    assert "Value is no class, but function" in str(check(lambda data: data, "tape"))
    with pytest.raises(ValueError, match="there is no exercise with the name of <lambda>"):
        check(lambda gy: gy)
    with pytest.raises(ValueError, match="there is no exercise 'relu'; similar ones are relu_backward"):
        check(np.sin, "relu")
    report = check(lambda size, kernel, stride, padding, dilation: 5.0, "output_size")
    assert "count is the float 5.0 and must be an int" in " ".join(str(report).split())


def test_whole_numbers_are_too_few() -> None:
    def avg_pool2d_forward(x: Any, kernel: Any, stride: Any, padding: Any) -> Any:
        from minicnn.exercises import find

        return np.trunc(find("avg_pool2d_forward").solution(x, kernel, stride, padding)).astype(int)

    assert "np.zeros(shape) makes it float64" in " ".join(str(check(avg_pool2d_forward)).split())


def test_only_what_differs_is_marked() -> None:
    def softmax_forward(x: Any) -> Any:
        y = np.exp(x - x.max(1, keepdims=True))
        y /= y.sum(1, keepdims=True)
        y[0, 0] *= 2 if x.dtype == np.float32 else 1
        return y

    text = str(check(softmax_forward))
    assert "Case 6, the smallest that fails" in text and "so it is" not in text
    marked = re.findall(r"\[\d[\d.e-]*\]", text)
    assert len(marked) == 2, text  # the number, and what it must be; not the rounding errors of the others


def test_an_exercise_of_your_own() -> None:
    def leaky_relu_backward(gy: Any, x: Any) -> Any:
        """The gradient of leaky ReLU: gy where x is positive, and gy/10 elsewhere."""
        return gy * np.where(x > 0, 1, 0.1)

    cases = [Case("one number", {"gy": np.array([2.0]), "x": np.array([-1.0])})]
    cases += [Case("three", {"gy": np.array([1.0, -2, 3]), "x": np.array([-1.0, 2, 0])})]
    wrong = [Wrong("it is ReLU", "gy/10 where x is not positive", lambda gy, x: gy * (x > 0))]
    exercise = Exercise(
        "leaky", "mine", 1, leaky_relu_backward, ("gx",), lambda: cases, ["np.where(condition, a, b)"], wrong=wrong
    )
    right = check(lambda gy, x: np.where(x > 0, gy, gy / 10), exercise)
    assert right.ok and "minicnn exercise" not in str(right) and exercise.title == "The gradient of leaky ReLU"
    assert "What is wrong with gx: it is ReLU" in str(check(lambda gy, x: gy * (x > 0), exercise))
    assert "Hint: np.where(condition, a, b)" in str(check(lambda gy, x: gy, exercise))
    with pytest.raises(TypeError, match=r"a.py is a file; import its function"):
        check("a.py", exercise)


# ---------------------------------------------------------------------------------------------- in a process of its own

GOOD = "    return gy * (x > 0)\n"


def file(folder: Path, text: str | bytes, name: str = "relu_backward.py") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_right_file(tmp_path: Path) -> None:
    text = "print('hi')\nimport helper\ndef relu_backward(gy, x):\n" + GOOD
    file(tmp_path, "ZERO = 0\n", "helper.py")  # a file beside it can be imported
    path = file(tmp_path, text + "if __name__ == '__main__':\n    raise SystemExit('not run')\n")
    report = check(path)
    assert report.ok and report.path == path and f"{report}".count("ok") == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def relu_backward(gy, x):\n    return gy * (x > 0\n", "no Python: '.' was never closed, in line 2: return"),
        ("def relu_backward(gy, x):\n" + GOOD + "1 / 0\n", "fails before .* ZeroDivisionError: .* in line 3: 1 / 0"),
        ("import nothing_here\ndef relu_backward(gy, x):\n" + GOOD, "No module named 'nothing_here', in line 1"),
        (
            "print('so far')\nraise SystemExit\n",
            "it ends the program .*, in line 2: .* it printed: so far",
        ),
        ("def relu_bakward(gy, x):\n" + GOOD, "has no function relu_backward; it has relu_bakward: give it the name"),
        ("x = 1\n", "the file has no function relu_backward"),
        ("relu_backward = 3\n", "relu_backward is no function, but int"),
        ("def relu_backward(gy):\n    return gy\n", r"takes \(gy\), and must take \(gy, x\)"),
        ("def relu_backward(*, gy: int, x=1): pass\n", r"takes \(\*, gy, x\), and must take \(gy, x\)"),
        ("def relu_backward(x, gy): pass\n", r"takes \(x, gy\), and must take \(gy, x\), in this order"),
        (b"def relu_backward(gy, x):\n    return '\xff'\n", "no Python"),
        (b"def relu_backward(gy, x):\n    return gy\0\n", "no Python"),
    ],
)
def test_files_without_an_answer(
    text: str | bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "answer", sys)
    with pytest.raises(Unusable) as error:
        answer_of(load(file(tmp_path, text)), EXERCISES["relu_backward"])
    assert re.search(words, str(error.value)), error.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("relu_backward = 3\n", "relu_backward is no function, but int"),
        ("def relu_backward(gy, x):\n    import sys\n    sys.exit(3)\n", "it ends the program .* line 3: sys.exit.3."),
        ("def relu_backward(gy, x):\n    import os\n    os._exit(3)\n", r"the program ended \(exit code 3\)"),
        ("def relu_backward(gy, x):\n    y = gy.mean(7)\n    return y\n", "out of bounds.* line 2: y = gy.mean.7."),
    ],
)
def test_files_that_fail(text: str, words: str, tmp_path: Path) -> None:
    report = check(file(tmp_path, text))
    assert not report.ok and re.search(words, " ".join(str(report).split())), report


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def relu_backward(gy, x):\n    while 0 in x:\n        pass\n" + GOOD,
         "zeros in x: it did not end within 1 s: a loop that never stops, or .* .line 2: while 0 in x"),
        ("while True:\n    pass\ndef relu_backward(gy, x):\n" + GOOD,
         "while the file is read, it did not end within 1 s: a loop that never stops, or a very slow one, in line"),
    ],
)  # fmt: skip
def test_files_that_never_end(text: str, words: str, tmp_path: Path) -> None:
    (report,) = check_file(file(tmp_path, text), seconds=1)
    said = " ".join(str(report).split())
    assert not report.ok and re.search(words, said), report
    if "zeros" in words:
        assert report.passed == 1 and said.count(": not tried") == 3


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs groups of processes")
@pytest.mark.parametrize("end", ["", "    while True: pass\n"])
def test_processes_that_are_left_are_ended(end: str, tmp_path: Path) -> None:
    text = (
        "import os, subprocess, sys\n"
        "def relu_backward(gy, x):\n"
        "    with open('left', 'a') as f:\n"
        "        p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(50)'])\n"
        f"        print(p.pid, file=f)\n{end}{GOOD}"
    )
    check_file(file(tmp_path, text), seconds=2)
    left = [int(line) for line in (tmp_path / "left").read_text().split()]
    until = time.monotonic() + 5
    while any(map(_running, left)) and time.monotonic() < until:
        time.sleep(0.02)
    assert left and not any(map(_running, left))


def _running(pid: int) -> bool:
    """Whether there is a process, and it has not ended (Z: nobody has asked for its exit code)."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip()[:1] not in ("", "Z")


def test_signals_are_told_apart(tmp_path: Path) -> None:
    for number, words in ((2, "signal 2.: KeyboardInterrupt"), (9, "killed; no memory"), (11, "signal 11.: it crash")):
        text = f"import os\ndef relu_backward(gy, x):\n    os.kill(os.getpid(), {number})\n    while True: pass\n"
        assert re.search(words, str(check(file(tmp_path, text))))


def test_threads_that_are_left_do_not_matter(tmp_path: Path) -> None:
    text = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
    assert check(file(tmp_path, text + "def relu_backward(gy, x):\n" + GOOD)).ok


def test_several_answers_in_a_file(tmp_path: Path) -> None:
    text = "def relu_backward(gy, x):\n" + GOOD + "def softmax_forward(x):\n    import os; os._exit(1)\n"
    path = file(tmp_path, text, "mine.py")
    reports = {report.exercise.name: report for report in check_file(path)}
    assert reports["relu_backward"].ok and not reports["softmax_forward"].ok and len(reports) == 2
    with pytest.raises(ValueError, match="has answers to relu_backward, softmax_forward; say which"):
        check(path)
    assert check(path, "relu_backward").ok


def test_which_exercises_a_file_answers(tmp_path: Path) -> None:
    assert answered(file(tmp_path, "class Value: pass\nim2col = None\n", "a.py")) == ["im2col", "tape"]
    assert answered(file(tmp_path, "def im2col(x:\n", "a.py")) == ["im2col"]  # no Python
    assert answered(file(tmp_path, "", "col2im.py")) == ["col2im"]
    assert answered(file(tmp_path, "", "a.py")) == []
    assert answered(file(tmp_path, b"\xef\xbb\xbfdef im2col(x):\r\n    pass\r\n", "a.py")) == ["im2col"]
    assert answered(file(tmp_path, b"\xef\xbb\xbfdef im2col(x:\r\n    pass\r\n", "a.py")) == ["im2col"]
    assert answered(file(tmp_path, "im2col: object = None\n", "a.py")) == ["im2col"]
    assert answered(file(tmp_path, "if 1:\n    def im2col(x): pass\n", "a.py")) == ["im2col"]
    assert answered(file(tmp_path, "from mine import im2col\n", "a.py")) == ["im2col"]
    assert answered(file(tmp_path, "from mine import im2col\ndef col2im(): pass", "a.py")) == ["col2im"]
    assert answered(file(tmp_path, "from mine import im2col\n", "col2im.py")) == ["col2im"]
    with pytest.raises(ValueError, match=r"defines no function of an exercise; keep the name"):
        check(file(tmp_path, "", "a.py"))
    with pytest.raises(FileNotFoundError, match=r"there is no such file; `minicnn exercise new NAME`"):
        check(tmp_path / "b.py")
