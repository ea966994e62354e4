"""Sealed JSON: files that later steps rely on carry a digest of their content, so that an edit or a flipped bit is noticed.

Invariants: `read_sealed` returns what `write_sealed` wrote, or raises. A file without a digest (written by goldwash 0.1) is
accepted.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import read_json

DIGEST = "digest"


def write_sealed(location: str, value: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write a JSON object, whole, with a digest of it; ``indent``: as for `write_json`."""
    write_json(location, {**value, DIGEST: _digest(value)}, indent=indent)


def read_sealed(location: str) -> dict[str, Any] | None:
    """A sealed JSON object without its digest; None where there is no file.

    Raises `DataError` where it is broken, or is not what was written.
    """
    value = read_json(location)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise DataError(f"{location}: expected a JSON object, found {type(value).__name__}: delete it and run again")
    return unsealed(value, location)


def unsealed(value: dict[str, Any], location: str) -> dict[str, Any]:
    """A sealed JSON object that was read from ``location``, without its digest; `DataError` if it is not what was written."""
    digest = value.pop(DIGEST, None)
    if digest is not None and digest != _digest(value):
        raise DataError(f"{location} was changed after goldwash wrote it: delete it and run again")
    return value


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()
