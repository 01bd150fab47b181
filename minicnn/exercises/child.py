"""The process in which a file with an answer runs: `python -m minicnn.exercises.child FILE FOLDER SECONDS NAME`.

It writes records (kind, content) to FOLDER/records: ("load", 0) at the beginning, ("begin", number) before each case,
("outcome", outcome) after it, ("problem", text) if the exercise cannot be tried, and ("done", None) at the end. If
something takes too long, the lines where it is are written to FOLDER/trace, and the process ends.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from .attempt import Unusable, answer_of, attempt, load
from .catalogue import EXERCISES


def main(file: str, folder: str, limit: str, name: str) -> None:
    """Try the answer of a file."""
    exercise, seconds = EXERCISES[name], float(limit)
    with Path(folder, "records").open("wb") as out, Path(folder, "trace").open("w", encoding="utf-8") as trace:

        def record(kind: str, content: Any) -> None:
            pickle.dump((kind, content), out)
            out.flush()
            faulthandler.dump_traceback_later(seconds, exit=True, file=trace)  # the clock begins again

        record("load", 0)
        try:
            answer = answer_of(load(Path(file)), exercise)
        except Unusable as error:
            record("problem", str(error))
        else:
            for number, case in enumerate(exercise.cases()):
                record("begin", number)
                record("outcome", attempt(exercise, answer, case))
        record("done", None)
        faulthandler.cancel_dump_traceback_later()
    os._exit(0)  # also if the answer has started threads


if __name__ == "__main__":
    main(*sys.argv[1:])
