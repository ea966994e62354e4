"""Engines: how tasks are run, on this machine, on Slurm and on Ray, each on datatrove's executor of that name.

Invariants: an engine knows tasks and markers and nothing of stages; a stage knows `pipeline.stage.Run` and nothing of
engines. A task's marker alone says whether it is done: datatrove's completion files know nothing of parameters or of missing
files. A new engine is one file with its settings and a line in `settings.ENGINES`.
"""
