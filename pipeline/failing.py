"""Which document a user's own filter failed on.

Invariant: the error that is raised is the filter's own; a note names the document. An error of goldwash's has its place in its
message already, and nothing is run again for it: a scorer may ask a server.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from goldwash.errors import GoldwashError
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
