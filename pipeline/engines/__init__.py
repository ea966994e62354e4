"""Engines: each a function that returns a `pipeline.stage.Run`, on datatrove's executor of that name.

Law: an engine knows tasks and markers and nothing of stages; a stage knows `Run` and nothing of engines. Whether a task is done
is said by its marker alone: datatrove's own completion files know nothing of parameters or of files that are gone.
"""
