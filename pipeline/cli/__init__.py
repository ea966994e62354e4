"""The command line: one file per group of commands; `app` assembles them.

Invariants: a command's module imports nothing heavy (numpy, pyarrow, numba, datatrove, rich) at its top. A command imports what
it needs when it runs, so that ``goldwash --help`` and ``goldwash --version`` answer at once. No module here knows a stage by
name.
"""
