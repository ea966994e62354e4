"""Every container type gives the same table of documents, and gets rows of its own type back."""

from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from goldwash.filters.texts import Texts
from goldwash.pipeline.interface.frames import Frame
from goldwash.pipeline.storage.failures import DataError

TEXTS = ["one two three", "", "Straße 🏅", "vier"]
URLS = ["https://a.example/", None, "https://b.example/", ""]
COLUMNS = {"id": [7, 8, 9, 10], "text": TEXTS, "url": URLS, "worth": [0.5, None, 2.0, 3.0]}

TABULAR: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Arrow": pa.table,
    "batch": lambda columns: pa.RecordBatch.from_pydict(columns),
    "pandas": lambda columns: pd.DataFrame(columns, index=[f"row {n}" for n in range(len(next(iter(columns.values()))))]),
    "Polars": pl.DataFrame,
    "datasets": datasets.Dataset.from_dict,
}
PLAIN: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "tuple": tuple,
    "NumPy": np.array,
    "NumPy objects": lambda texts: np.array(texts, object),
    "Texts": Texts.of,
    "Arrow array": lambda texts: pa.array(texts, pa.string()),
    "Arrow chunks": lambda texts: pa.chunked_array([texts[:1], texts[1:]], pa.large_string()),
    "Arrow views": lambda texts: pa.array(texts, pa.string_view()),
    "pandas series": lambda texts: pd.Series(texts, name="body"),
    "Polars series": lambda texts: pl.Series("body", texts),
}


def plain(data: Any) -> list[Any]:
    """A container's values as a list."""
    if isinstance(data, pa.Table | pa.RecordBatch):
        return list(data.to_pylist())
    if isinstance(data, pa.Array | pa.ChunkedArray):
        return list(data.to_pylist())
    if isinstance(data, pd.DataFrame):
        return list(data.astype(object).where(data.notna(), None).to_dict("records"))
    if isinstance(data, pl.DataFrame):
        return data.to_dicts()
    return list(data)


@pytest.mark.parametrize("kind", TABULAR)
def test_tables_are_read_alike(kind: str) -> None:
    table = Frame.of(TABULAR[kind](COLUMNS)).table
    assert table.column_names == ["id", "url", "text", "worth"]
    assert table["id"].to_pylist() == ["0", "1", "2", "3"]
    assert table["text"].to_pylist() == TEXTS
    assert table["url"].to_pylist() == ["https://a.example/", "", "https://b.example/", ""]
    assert table["worth"].to_pylist() == [0.5, None, 2.0, 3.0]


@pytest.mark.parametrize("kind", PLAIN)
def test_texts_alone_are_read_alike(kind: str) -> None:
    frame = Frame.of(PLAIN[kind](TEXTS))
    assert frame.table.column_names == ["id", "url", "text"]
    assert frame.table["text"].to_pylist() == TEXTS
    assert frame.table["url"].to_pylist() == [""] * 4


def changed(frame: Frame) -> pa.Table:
    """What a stage might make of the frame: rows 2 and 0, another text, a new column."""
    table = frame.table.take([2, 0])
    table = table.set_column(table.column_names.index("text"), "text", pa.array(["Straße", "one"], pa.large_string()))
    return table.append_column("language", pa.array(["de", "en"]))


@pytest.mark.parametrize("kind", TABULAR)
def test_rows_come_back_in_the_type_that_was_given(kind: str) -> None:
    data = TABULAR[kind](COLUMNS)
    kept, rows, table = Frame.of(data).take(changed(Frame.of(data)))
    assert type(kept) is type(data)
    assert rows.tolist() == [2, 0]
    assert plain(kept) == [
        {"id": 9, "text": "Straße", "url": "https://b.example/", "worth": 2.0, "language": "de"},
        {"id": 7, "text": "one", "url": "https://a.example/", "worth": 0.5, "language": "en"},
    ]
    assert table.column_names == ["row", "id", "text", "url", "worth", "language"]
    assert table["row"].to_pylist() == [2, 0]
    assert plain(data) == plain(TABULAR[kind](COLUMNS)), "the caller's object is as it was"


@pytest.mark.parametrize("kind", PLAIN)
def test_texts_come_back_in_the_type_that_was_given(kind: str) -> None:
    data = PLAIN[kind](TEXTS)
    kept, _, table = Frame.of(data).take(changed(Frame.of(data)))
    assert type(kept) is type(data)
    assert plain(kept) == ["Straße", "one"]
    assert table["language"].to_pylist() == ["de", "en"]
    assert getattr(kept, "type", None) == getattr(data, "type", None)
    assert getattr(kept, "name", None) == getattr(data, "name", None)


@pytest.mark.parametrize("kind", TABULAR)
@pytest.mark.parametrize("rows", [[], [1], [3, 1, 0]])
def test_unchanged_rows_come_back_as_they_were(kind: str, rows: list[int]) -> None:
    data = TABULAR[kind](COLUMNS)
    frame = Frame.of(data)
    kept, _, _ = frame.take(frame.table.take(pa.array(rows, pa.int64())))
    assert plain(kept) == [plain(data)[row] for row in rows]


def test_pandas_keeps_its_index_and_what_arrow_cannot_hold() -> None:
    things = [object(), {1}, print, 4]
    data = pd.DataFrame({**COLUMNS, "thing": pd.Series(things, dtype=object)}, index=None).set_index(pd.Index([4, 3, 2, 1]))
    frame = Frame.of(data)
    assert "thing" not in frame.table.column_names
    kept, _, _ = frame.take(changed(frame))
    assert kept.index.tolist() == [2, 4]
    assert kept["thing"].tolist() == [print, things[0]]


def test_a_dataset_keeps_its_features_and_selection() -> None:
    features = datasets.Features({"text": datasets.Value("string"), "kind": datasets.ClassLabel(names=["a", "b"])})
    data = datasets.Dataset.from_dict({"text": TEXTS, "kind": [0, 1, 1, 0]}, features=features).select([3, 2, 0])
    frame = Frame.of(data)
    assert frame.table["text"].to_pylist() == [TEXTS[3], TEXTS[2], TEXTS[0]]
    kept, _, _ = frame.take(changed(frame))
    assert kept.features["kind"] == features["kind"]
    assert kept.to_list() == [{"text": "Straße", "kind": 0, "language": "de"}, {"text": "one", "kind": 0, "language": "en"}]


def test_columns_have_other_names() -> None:
    data = pa.table({"text": [1, 2], "body": ["one", "two"], "address": ["https://a.example", None]})
    frame = Frame.of(data, text="body", url="address")
    assert frame.table.to_pydict() == {"id": ["0", "1"], "url": ["https://a.example", ""], "text": ["one", "two"]}
    result = frame.table.set_column(2, "text", pa.array(["1", "2"], pa.large_string()))
    kept, _, _ = frame.take(result)
    assert kept.to_pydict() == {"text": [1, 2], "body": ["1", "2"], "address": ["https://a.example", None]}


def test_dropped_documents_have_the_callers_id_and_url() -> None:
    from goldwash.pipeline.storage.tables import dropped_table

    gone = dropped_table(pa.array(["3", "1"]), pa.array(["", ""]), "rule", [1.0, 2.0], [None, "x"])
    table = Frame.of(pa.table(COLUMNS)).dropped(gone)
    assert table.to_pydict() == {
        "row": [1, 3], "id": [8, 10], "url": [None, ""], "dropped_by": ["rule"] * 2, "value": [2.0, 1.0], "detail": ["x", None],
    }  # fmt: skip
    assert Frame.of(TEXTS).dropped(gone).column_names == ["row", "dropped_by", "value", "detail"]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("one text", TypeError, r"expected a list of strings, a pyarrow Table.*; found str: put one text into a list"),
        (b"text", TypeError, "found bytes: decode the text first"),
        (None, TypeError, "found NoneType"),
        ({"text": ["a"]}, TypeError, r"found dict: make a table of it, as pyarrow.table\(data\)"),
        ((text for text in "ab"), TypeError, "found generator"),
        (np.zeros(3), TypeError, "found numpy.ndarray"),
        (pl.LazyFrame({"text": ["a"]}), TypeError, r"found polars.LazyFrame: call .collect\(\) first"),
        (datasets.DatasetDict({}), TypeError, "choose a split first"),
        (["one", 2], DataError, "row 1 is 2, not a string"),
        (["one", None], DataError, r"row 1 is (null|None)"),
        (["one", "\ud800"], DataError, "row 1 cannot be UTF-8"),
        (pa.table({"text": ["a", None]}), DataError, "column 'text': row 1 is null"),
        (pa.table({"texts": ["a"]}), DataError, "no column 'text': did you mean 'texts'"),
        (pa.table({"text": [1]}), DataError, "column 'text': expected a column of strings, found int64"),
        (pd.DataFrame({"text": ["a", 1]}), DataError, "column 'text': expected strings"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), DataError, "columns of the same name: text"),
        (pa.table({"text": ["a"], "url": [1.5]}), DataError, "no error"),
    ],
)
def test_what_cannot_be_read_is_told(data: Any, error: type[Exception], message: str) -> None:
    if message == "no error":  # a number is a string, too, where a URL is asked for
        assert Frame.of(data).urls is not None
        return
    with pytest.raises(error, match=message):
        _ = Frame.of(data).texts


@pytest.mark.parametrize("data", [[], (), pa.table({"text": pa.array([], pa.string())}), pa.table({"text": pa.array([])})])
def test_no_documents(data: Any) -> None:
    frame = Frame.of(data)
    assert frame.table.num_rows == 0
    assert len(frame.take(frame.table)[0]) == 0


def test_categories_are_texts() -> None:
    assert list(Frame.of(pd.DataFrame({"text": pd.Categorical(["a", "b", "a"])})).texts) == ["a", "b", "a"]
