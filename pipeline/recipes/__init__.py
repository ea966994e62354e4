"""Recipes: which stages run, in which order, with which parameters.

Invariants: this module imports the standard library only, so that the command line lists recipes without reading one.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of the recipes that come with goldwash."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
