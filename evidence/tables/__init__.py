"""Published numbers as data files, each with its source; read once.

Invariants: a YAML table is a mapping from name to a mapping; every entry of it has a ``source``.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def table(name: str) -> Mapping[str, Mapping[str, Any]]:
    """The entries of ``evidence/tables/NAME.yaml`` by their names."""
    entries: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text(f"{name}.yaml"))
    return entries


def text(file: str) -> str:
    """The text of one data file of this folder."""
    return files(__name__).joinpath(file).read_text("utf-8")
