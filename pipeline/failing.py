"""Which document a user's own filter failed on.

Invariant: the error that is raised is the filter's own; a note names the document. An error of goldwash's has its place in its
message already, and nothing is run again for it: a scorer may ask a server.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from goldwash.classifiers.scorers import Scorer, named_errors
from goldwash.errors import GoldwashError
from goldwash.filters.texts import Texts
from goldwash.text_output import printable


@contextmanager
def naming_document(ids: Sequence[Any], alone: Callable[[int], object]) -> Iterator[None]:
    """Add a note with the id of the first document that fails by itself; ``alone(row)`` does the work for one row."""
    try:
        yield
    except GoldwashError:
        raise
    except Exception as error:
        for row, id_ in enumerate(ids):
            try:
                alone(row)
            except Exception:
                error.add_note(f"document {printable(str(id_))}")
                break
        raise


def scored(made: Scorer, texts: Texts, table: pa.Table, location: str) -> dict[str, pa.Array]:
    """A scorer's columns for a shard's documents; errors name the shard, and those of a user's own code the document."""

    def alone(row: int) -> None:
        made.columns(texts.take(np.array([row])), table.slice(row, 1))

    with named_errors(location), naming_document(table["id"] if "id" in table.column_names else (), alone):
        return made.columns(texts, table)
