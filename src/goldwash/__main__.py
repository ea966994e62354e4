"""The entry point of the command line: ``goldwash`` and ``python -m goldwash``."""

from goldwash.pipeline.cli import interruption


def main() -> None:
    """Run the command line and exit: 0 success, 1 failure, 2 misuse, 130 or 143 stopped by Ctrl-C or SIGTERM."""
    interruption.watch()
    from goldwash.pipeline.cli.app import main as run  # after the handlers: imports take the first moments

    run()


if __name__ == "__main__":
    main()
