"""Shards that leave their texts in another shard.

A stage that only drops documents need not write their texts once more. Such a shard has all columns of its documents but one:
in place of ``text`` it has the row of each text in a shard of an earlier stage, in rising order. The metadata of its schema
(`METADATA`) names that column, and the shard of texts with its size and SHA-256.

Invariants:

* The shard of texts is in a folder beside this one's folder, so that a run can be moved as a whole. It holds its texts itself.
* Whoever reads documents finds ``text`` in its place (`JoinedRows`). The shard of texts is verified before its first row is
  given, and only row groups with a wanted text are read.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import filesystem, is_local, join
from goldwash.pipeline.storage.source import PLAIN, Input

Rows = npt.NDArray[np.int64]

METADATA = b"goldwash.texts"
"""The key, in the metadata of a schema, of what is known of the shard of texts."""

ROW = "text_row"
"""The column with the rows of texts. If a document has a column of this name, ``_`` is put before it."""

TEXT = pa.field("text", pa.large_string())


class RowGroups(NamedTuple):
    """What a footer says of the row groups that are read."""

    rows: list[int]
    """The rows of each."""
    unpacked_bytes: int
    """The bytes of all their columns without compression."""
    left_bytes: int = 0
    """The bytes, as packed, of their texts that are in another shard."""


class _Shard(Protocol):
    """What this module needs of `parquet_rows.ParquetRows`, which imports it."""

    texts: Input
    schema: pa.Schema
    metadata: Any
    first_row: int

    @property
    def row_groups(self) -> RowGroups: ...

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]: ...

    def pieces(self, column: str, wanted: Callable[[int], bool]) -> Iterator[tuple[int, pa.RecordBatch]]: ...

    def columns(self, names: list[str], text: str) -> Iterator[tuple[pa.Table, int]]: ...

    def never_null(self, name: str) -> bool: ...

    def mean_bytes(self, column: str, packed: bool = False) -> float: ...


def texts_beside(schema: pa.Schema, location: str) -> Input | None:
    """The shard that holds the texts of the shard at ``location``; None where that one holds them itself."""
    named = (schema.metadata or {}).get(METADATA)
    if named is None:
        return None
    facts = json.loads(named)
    if facts["column"] not in schema.names:  # another program put texts there, and kept the metadata
        return None
    return Input(_beside(location, facts["path"]), facts["bytes"], facts["sha256"])


def _beside(location: str, file: str) -> str:
    """A file below the folder that holds the folder of ``location``: where that is named, else where its links lead."""
    if not is_local(location):
        return join(location.rpartition("/")[0].rpartition("/")[0], file)
    path = os.path.abspath(filesystem(location)[1])
    named, linked = (os.path.join(os.path.dirname(os.path.dirname(p)), file) for p in (path, os.path.realpath(path)))
    return named if os.path.exists(named) else linked


def row_column(schema: pa.Schema) -> str:
    """The column with the rows of texts, of a shard that has left them."""
    return str(json.loads(schema.metadata[METADATA])["column"])


def without_texts(schema: pa.Schema, texts: Input) -> pa.Schema:
    """The schema of documents whose texts are left in ``texts``, a shard of an earlier stage."""
    column = ROW
    while column in schema.names:
        column = f"_{column}"
    folder, _, file = texts.path.rpartition("/")
    facts = {
        "path": f"{folder.rpartition('/')[2]}/{file}", "bytes": texts.bytes, "sha256": texts.sha256, "column": column,
    }  # fmt: skip
    fields = [pa.field(column, pa.int64()) if field.name == TEXT.name else field for field in schema]
    return pa.schema(fields, {METADATA: json.dumps(facts)})


def check_beside(inputs: Sequence[Input], out: str, stage: str, cure: str) -> None:
    """Refuse to leave texts where they would not be found again: in a user's file, or in a folder not beside ``out``."""
    known = dict[str, bool]()
    for source in inputs:
        folder = source.path.rpartition("/")[0]
        if folder not in known:
            known[folder] = _is_beside(folder, out)
        if source.sha256 is None or source.reading != PLAIN or not known[folder]:
            raise DataError(
                f"{stage} cannot leave texts in {source.path}: expected a shard of a stage whose folder is beside {out}, as in "
                f"a run; give `{cure}`"
            )


def _is_beside(folder: str, out: str) -> bool:
    """Whether a shard in ``out`` finds a folder by its name (`_beside`)."""
    if not (is_local(folder) and is_local(out)):
        return folder.rpartition("/")[0] == out.rstrip("/").rpartition("/")[0]
    path, beside = (os.path.abspath(filesystem(place)[1]) for place in (folder, out))
    return os.path.realpath(os.path.join(os.path.dirname(beside), os.path.basename(path))) == os.path.realpath(path)


def joined(tables: Iterator[pa.Table], column: str, texts: _Shard, location: str) -> Iterator[pa.Table]:
    """Tables of the shard at ``location``, with the texts in place of ``column``, which has their rows."""
    cursor = _Cursor(tables, column, location)
    for first, batch in texts.pieces(TEXT.name, lambda end: cursor.row is not None and cursor.row < end):
        for table, rows in cursor.upto(first + batch.num_rows):
            values = batch.column(0).take(pa.array(rows - first))
            yield table.set_column(table.column_names.index(column), TEXT, values)
    if cursor.row is not None:
        raise DataError(f"{location}: row {cursor.row} of {texts.texts.path}, its text, is not there: run again")


class JoinedRows:
    """An opened Parquet file that has left its texts; it gives what `parquet_rows.ParquetRows` gives."""

    def __init__(
        self, rows: _Shard, location: str, texts: Input, opened: Callable[[Input], AbstractContextManager[_Shard]]
    ) -> None:
        self.texts = texts
        """The shard that holds the texts."""
        self._rows, self._location, self._opened = rows, location, opened
        self._column = row_column(rows.schema)
        self.schema = pa.schema([TEXT if field.name == self._column else field for field in rows.schema])
        self.metadata, self.first_row = rows.metadata, rows.first_row

    @contextmanager
    def _of_texts(self) -> Iterator[_Shard]:
        with ExitStack() as stack:
            try:
                held = stack.enter_context(self._opened(self.texts))
            except DataError as error:
                raise DataError(
                    f"{self._location} has its texts in another shard, which cannot be read: {error}. Cure: keep the "
                    "folders of a run together, or write whole documents with `goldwash stage pack` first"
                ) from error
            yield held

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in order, with all columns or these."""
        names = list(self.schema.names if columns is None else columns)
        if TEXT.name not in names:
            yield from self._rows.tables(names)
            return
        at = names.index(TEXT.name)
        tables = self._rows.tables([*names[:at], self._column, *names[at + 1 :]])
        with self._of_texts() as texts:
            yield from joined(tables, self._column, texts, self._location)

    def without_texts(self) -> Iterator[tuple[pa.Table, Rows]]:
        """The rows in order, with all columns but the texts, and where the texts are: ``int64[N]``."""
        for table in self._rows.tables():
            yield table.drop_columns([self._column]), table[self._column].to_numpy()

    def columns(self, names: list[str], text: str) -> Iterator[tuple[pa.Table, int]]:
        """Some columns of the rows, and about how many bytes their texts have."""
        if text != TEXT.name:
            yield from self._rows.columns(names, text)
            return
        with self._of_texts() as texts:
            mean = texts.mean_bytes(TEXT.name)
        for table, _ in self._rows.columns(names, self._column):
            yield table, int(mean * table.num_rows)

    def never_null(self, name: str) -> bool:
        """Whether a column has no nulls in the row groups that are read."""
        return name == TEXT.name or self._rows.never_null(name)

    @property
    def row_groups(self) -> RowGroups:
        """The row groups that are read, as if the texts were in them."""
        with self._of_texts() as texts:
            mean, packed = texts.mean_bytes(TEXT.name), texts.mean_bytes(TEXT.name, packed=True)
        found = self._rows.row_groups
        rows = sum(found.rows)
        return found._replace(unpacked_bytes=found.unpacked_bytes + int(mean * rows), left_bytes=int(packed * rows))


class _Cursor:
    """Goes through tables by a column of rising numbers."""

    def __init__(self, tables: Iterator[pa.Table], column: str, location: str) -> None:
        self._tables, self._column, self._location = tables, column, location
        self._table: pa.Table | None = None
        self._last = -1
        self._go_on()

    def _go_on(self) -> None:
        self._table = next((table for table in self._tables if table.num_rows), None)
        self._rows, self._at = np.zeros(0, np.int64), 0
        if self._table is not None:
            self._rows = self._table[self._column].to_numpy()
            if not (np.diff(self._rows, prepend=self._last) > 0).all():
                raise DataError(
                    f"{self._location}: the numbers in {self._column} do not rise: another program has sorted or changed its "
                    "rows; read the stage's own shards, or write whole documents with `goldwash stage pack` first"
                )
            self._last = int(self._rows[-1])

    @property
    def row(self) -> int | None:
        """The next number; None at the end."""
        return None if self._table is None else int(self._rows[self._at])

    def upto(self, end: int) -> Iterator[tuple[pa.Table, Rows]]:
        """The rows of numbers below ``end`` that have not been given yet, and their numbers."""
        while self._table is not None and self._rows[self._at] < end:
            to = int(np.searchsorted(self._rows, end))
            yield self._table.slice(self._at, to - self._at), self._rows[self._at : to]
            self._at = to
            if to == len(self._rows):
                self._go_on()
