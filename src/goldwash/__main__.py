"""The entry point of the command line: ``goldwash`` and ``python -m goldwash``.

The commands of `goldwash.evidence` are added here, since the pipeline does not import that room.
"""

import atexit
import gc

from goldwash.pipeline.cli import interruption

OBJECTS = 50_000
"""New objects after which the youngest are collected. Imports and kernels leave 300,000: at Python's 700, visiting all of them
now and then, and once more at the end, took 0.7 of the 2.6 CPU-seconds of a stage on a tiny shard (2026-11-30)."""


def main() -> None:
    """Run the command line and exit: 0 success, 1 failure, 2 misuse, 130 or 143 stopped by Ctrl-C or SIGTERM."""
    interruption.watch()
    gc.set_threshold(OBJECTS)
    atexit.register(gc.freeze)
    from goldwash.evidence.cli import register  # after the handlers: imports take the first moments
    from goldwash.pipeline.cli import app

    register(app.app)
    app.main()


if __name__ == "__main__":
    main()
