"""What a training leaves on disk, and how it ends without losing anything.

Files:
    run.py         the run folder                      config.py      its config.json, checked
    history.py     its metrics.csv                     description.py what config.json says
    checkpoint.py  weights and states on disk          state.py       what a checkpoint holds, and strict checks
    interrupt.py   Ctrl-C without losing the net
"""
