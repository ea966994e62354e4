"""The entry point of the command line: ``goldwash`` and ``python -m goldwash``.

The commands of `goldwash.evidence` are added here, since the pipeline does not import that room.
"""

from goldwash.pipeline.cli import interruption


def main() -> None:
    """Run the command line and exit: 0 success, 1 failure, 2 misuse, 130 or 143 stopped by Ctrl-C or SIGTERM."""
    interruption.watch()
    from goldwash.evidence.cli import register  # after the handlers: imports take the first moments
    from goldwash.pipeline.cli import app

    register(app.app)
    app.main()


if __name__ == "__main__":
    main()
