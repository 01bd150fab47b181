"""The stages of `gpu.py`, one file each, and what runs them.

| file | what is in it |
|---|---|
| `control.py` | runs each stage in a process of its own, within its time; keeps the results |
| `child.py` | that process: the cases of a stage one after another, each kept when it has ended |
| `report.py` | results as text |
| `clock.py` | times of contenders that take turns |
| `versions.py` `compiling.py` `rows.py` `suite.py` `losses.py` | the stages: what is there, and whether it is right |
| `ceilings.py` `calls.py` `steps.py` | how fast it is |
| `sanitizers.py` | what NVIDIA's tools see |
| `poison.py` | memory of a GPU that shows what was not written, and what was written beside it |

A stage is a module with two functions: `cases(run)` gives its cases by name, functions whose results fit into JSON, and
`table(cases, results)` their results as lines of text. Both import nothing that needs a GPU when the file is imported.
"""
