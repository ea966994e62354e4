"""Values that many tasks of a pass need: one file, of which each task has the digest, in place of a copy in each task."""

import hashlib
import json
from typing import Any

from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join, read_json


def write_shared(out: str, name: str, value: Any) -> str:
    """Write a JSON value to the file ``name`` in ``out``; returns the digest by which `read_shared` checks it."""
    write_json(join(out, name), value, indent=None)
    return _digest(value)


def read_shared(location: str, digest: str) -> Any:
    """A value that `write_shared` wrote; raises `DataError` where it is missing or another one."""
    value = read_json(location)
    if value is None or _digest(value) != digest:
        raise DataError(f"{location} is missing or changed since this work was planned: run again")
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
