"""``python -m goldwash``: the command line."""

from goldwash.pipeline.cli.app import main

if __name__ == "__main__":
    main()
