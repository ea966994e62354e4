"""Documents in memory: lists of texts, Arrow tables, data frames and datasets, as one Arrow table of documents.

Invariants:

* `Frame.of` accepts a list, tuple or NumPy array of strings, `Texts`, an Arrow array, table or record batch, a pandas or Polars
  frame or series, and a `datasets.Dataset`. Any other type is a `TypeError` that lists these.
* `Frame.table` has the columns that a stage reads: ``id`` (the row number as a string), ``url`` (empty where there is none),
  ``text``, and the caller's other columns. A column that Arrow cannot hold is left out of it, and is kept in the result.
* `Frame.take` returns rows of the caller's own object, of the same type. Only new and changed columns are written into it.
"""

import difflib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import TextError, Texts
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.tables import with_column

Rows = npt.NDArray[np.int64]

ACCEPTED = (
    "a list of strings, a pyarrow Table, RecordBatch or Array, a pandas or Polars DataFrame or Series, or a datasets.Dataset"
)


class Frame:
    """Documents of one container type."""

    def __init__(self, data: Any, source: pa.Table, text: str, url: str) -> None:
        self.data, self.source, self.text, self.url = data, source, text, url

    @staticmethod
    def of(data: Any, text: str = "text", url: str = "url") -> "Frame":
        """The documents of ``data``; ``text`` and ``url`` name its columns, where it has columns.

        Raises `TypeError` for a type that is not accepted, and `DataError` where the text column is missing, is not text, or
        has a null.

        >>> Frame.of(["gold", "pan"]).table.column_names
        ['id', 'url', 'text']
        """
        kind = _kind_of(data)
        return kind(data, kind.read(data, text), text, url)

    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        """The container's columns as an Arrow table."""
        raise NotImplementedError

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        """These rows of the container, with ``changed`` columns added or replaced."""
        raise NotImplementedError

    def side_table(self, table: pa.Table) -> Any:
        """A further table, such as that of the dropped documents, in the form that suits the container."""
        return table

    @cached_property
    def texts(self) -> Texts:
        """The text column; raises `DataError` where it is missing, is not text, or has a null."""
        return _texts(self.source, self.text)

    @cached_property
    def urls(self) -> Texts | None:
        """The URL column with nulls as empty strings; None where there is none."""
        if self.url not in self.source.column_names:
            return None
        column = self.source[self.url]
        return _texts(pa.table({self.url: _filled(column)}), self.url)

    @cached_property
    def table(self) -> pa.Table:
        """The documents as a stage reads them: ``id``, ``url``, ``text``, and the other columns."""
        n = len(self.texts)
        urls = self.urls.to_arrow().cast(pa.string()) if self.urls is not None else pa.array([""] * n, pa.string())
        made = pa.table({"id": pa.array(map(str, range(n)), pa.string()), "url": urls, "text": self.texts.to_arrow()})
        for name in self.source.column_names:
            if name not in ("id", "url", "text", self.text, self.url):
                made = made.append_column(name, self.source[name])
        return made

    def take(self, result: pa.Table) -> tuple[Any, Rows, pa.Table]:
        """The rows that a stage kept: of the container's type, their numbers, and all columns as Arrow (``row`` first).

        Columns that the stage added or changed are taken from ``result``; all others are the caller's.
        """
        rows = np.asarray(result["id"].cast(pa.int64()), np.int64)
        names = {"text": self.text}
        before, changed = self.table, dict[str, pa.Array]()
        for name in result.column_names:
            if name not in ("id", "url") and not (
                name in before.column_names and before[name].take(rows).equals(result[name].cast(before[name].type, safe=False))
            ):
                changed[names.get(name, name)] = result[name].combine_chunks()
        own = _take(self.source, rows)
        for name, column in changed.items():
            own = with_column(own, name, column)
        own = own.drop_columns(["row"]) if "row" in own.column_names else own
        return self.rows(rows, changed), rows, own.add_column(0, "row", pa.array(rows))

    def dropped(self, table: pa.Table) -> pa.Table:
        """The dropped documents in the order of their rows.

        Columns: ``row: int64``, the caller's ``id`` and ``url`` if there are, ``dropped_by``, ``value``, ``detail``.
        """
        rows = np.asarray(table["id"].cast(pa.int64()), np.int64)
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        made = {"row": pa.array(rows)}
        own = self.source.select([name for name in ("id", self.url) if name in self.source.column_names])
        made |= dict(zip(own.column_names, _take(own, rows).columns, strict=True))
        made |= {name: table[name].take(order) for name in ("dropped_by", "value", "detail")}
        return pa.table(made)


_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def _take(table: pa.Table, rows: Rows) -> pa.Table:
    """Rows of a table; Arrow has no kernel for those of view types (26.0)."""
    plain = pa.schema([f.with_type(_VIEWS.get(f.type, f.type)) for f in table.schema], table.schema.metadata)
    return table.cast(plain).take(rows).cast(table.schema)


def _texts(table: pa.Table, name: str) -> Texts:
    if name not in table.column_names:
        near = difflib.get_close_matches(name, table.column_names, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(
            f"there is no column {name!r}: {hint}The columns are {', '.join(table.column_names)}; name the one with the texts "
            "by text="
        )
    column = table[name]
    if pa.types.is_dictionary(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if pa.types.is_null(column.type) and not len(column):
        column = column.cast(pa.large_string())
    try:
        return Texts.of(column)
    except TextError as error:
        raise DataError(f"column {name!r}: {error}") from error


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.array([""] * len(column), pa.large_string())])
    try:
        return column.cast(pa.large_string()).fill_null("")
    except pa.ArrowException as error:
        raise DataError(f"the URL column: expected strings, found {column.type} ({error})") from error


class _Strings(Frame):
    """A list, tuple or NumPy array of strings: one column, no URLs."""

    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        try:
            return pa.table({text: Texts.of(data.tolist() if isinstance(data, np.ndarray) else list(data)).to_arrow()})
        except TextError as error:
            raise DataError(str(error)) from error

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        made = changed[self.text].to_pylist() if self.text in changed else [self.data[row] for row in rows.tolist()]
        if isinstance(self.data, np.ndarray):
            return np.array(made, object if self.data.dtype.kind == "O" else np.str_)
        return tuple(made) if isinstance(self.data, tuple) else made


class _Texts(Frame):
    @classmethod
    def read(cls, data: Texts, text: str) -> pa.Table:
        return pa.table({text: data.to_arrow()})

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Texts:
        return Texts.of(changed[self.text]) if self.text in changed else self.data.take(rows)


class _ArrowArray(Frame):
    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        return pa.table({text: data})

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        made = changed.get(self.text, _take(self.source, rows)[self.text].combine_chunks())
        made = made.cast(self.data.type) if made.type != self.data.type else made
        return pa.chunked_array([made]) if isinstance(self.data, pa.ChunkedArray) else made


class _Arrow(Frame):
    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        return pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        made = _take(self.source, rows)
        for name, column in changed.items():
            made = with_column(made, name, column)
        if not isinstance(self.data, pa.RecordBatch):
            return made
        return pa.RecordBatch.from_arrays([column.combine_chunks() for column in made.columns], schema=made.schema)


class _Pandas(Frame):
    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        if data.columns.has_duplicates:
            twice = data.columns[data.columns.duplicated()].tolist()
            raise DataError(f"the frame has columns of the same name: {', '.join(map(str, twice))}: rename them")
        made = dict[str, pa.Array]()
        for name in data.columns:
            try:
                made[str(name)] = pa.array(data[name], from_pandas=True)
            except (pa.ArrowException, TypeError, ValueError) as error:
                if str(name) == text:
                    raise DataError(f"column {text!r}: expected strings, found other values too ({error})") from error
        return pa.table(made)

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        made = self.data.iloc[rows].copy()
        for name, column in changed.items():
            values = column.to_pandas()
            values.index = made.index
            made[name] = values.astype(self.data[name].dtype) if name in self.data.columns else values
        return made

    def side_table(self, table: pa.Table) -> Any:
        return table.to_pandas()


class _PandasSeries(Frame):
    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        return _Pandas.read(data.to_frame(text), text)

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        frame = _Pandas(self.data.to_frame(self.text), self.source, self.text, self.url)
        return frame.rows(rows, {k: v for k, v in changed.items() if k == self.text})[self.text].rename(self.data.name)

    def side_table(self, table: pa.Table) -> Any:
        return table.to_pandas()


class _Polars(Frame):
    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        import polars

        return data.to_arrow(compat_level=polars.CompatLevel.oldest())

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        import polars

        made = self.data[rows.tolist()]
        return made.with_columns([polars.Series(name, polars.from_arrow(column)) for name, column in changed.items()])

    def side_table(self, table: pa.Table) -> Any:
        import polars

        return polars.from_arrow(table)


class _PolarsSeries(_Polars):
    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        return _Polars.read(data.rename(text).to_frame(), text)

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        import polars

        column = changed.get(self.text)
        return self.data[rows.tolist()] if column is None else polars.Series(self.data.name, polars.from_arrow(column))


class _Dataset(Frame):
    @classmethod
    def read(cls, data: Any, text: str) -> pa.Table:
        made = data.with_format("arrow")[:]
        return made.replace_schema_metadata(None)

    def rows(self, rows: Rows, changed: Mapping[str, pa.Array]) -> Any:
        import datasets

        made = self.data.select(rows.tolist())
        if not changed:
            return made
        order = [*made.column_names, *(name for name in changed if name not in made.column_names)]
        added = datasets.Dataset(datasets.table.InMemoryTable(pa.table(dict(changed))))
        left = made.remove_columns([name for name in changed if name in made.column_names])
        both = datasets.concatenate_datasets([left, added], axis=1) if left.column_names else added
        return both.select_columns(order)

    def side_table(self, table: pa.Table) -> Any:
        import datasets

        return datasets.Dataset(datasets.table.InMemoryTable(table))


_KINDS: dict[str, type[Frame]] = {
    "pandas.DataFrame": _Pandas,
    "pandas.Series": _PandasSeries,
    "polars.DataFrame": _Polars,
    "polars.Series": _PolarsSeries,
    "datasets.Dataset": _Dataset,
}
_CURES = {
    "polars.LazyFrame": "call .collect() first",
    "datasets.DatasetDict": 'choose a split first, as data["train"]',
    "datasets.IterableDataset": "take some documents first, as datasets.Dataset.from_list(list(data.take(1000)))",
    "builtins.str": "put one text into a list, as [text]",
    "builtins.bytes": "decode the text first",
    "builtins.dict": "make a table of it, as pyarrow.table(data)",
}


def _kind_of(data: Any) -> type[Frame]:
    if isinstance(data, list | tuple) or (isinstance(data, np.ndarray) and data.ndim == 1 and data.dtype.kind in "UO"):
        return _Strings
    if isinstance(data, Texts):
        return _Texts
    if isinstance(data, pa.Table | pa.RecordBatch):
        return _Arrow
    if isinstance(data, pa.Array | pa.ChunkedArray):
        return _ArrowArray
    names = [f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}" for kind in type(data).__mro__]
    for name in names:
        if name in _KINDS:
            return _KINDS[name]
    cure = next((f": {_CURES[name]}" for name in names if name in _CURES), "")
    raise TypeError(f"expected {ACCEPTED}; found {names[0].removeprefix('builtins.')}{cure}")
