"""Texts: from Arrow and Python, what is refused, taking and replacing rows."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters.texts import TextError, Texts
from tests.support.strategies import TEXTS

STRINGS = ["gold", "", "wäsche", "\0", "𝔘\n", "", "中文"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
class TestArrow:
    def test_array(self, kind: pa.DataType) -> None:
        assert list(Texts.of(pa.array(STRINGS, kind))) == STRINGS

    @pytest.mark.parametrize(("start", "length"), [(0, 7), (1, 3), (2, 1), (6, 1), (3, 0), (7, 0)])
    def test_slice(self, kind: pa.DataType, start: int, length: int) -> None:
        assert list(Texts.of(pa.array(STRINGS, kind).slice(start, length))) == STRINGS[start : start + length]

    @pytest.mark.parametrize("chunks", [[], [[]], [["a"]], [["a", "b"], [], ["c"]], [[], ["", "é"]]])
    def test_chunks(self, kind: pa.DataType, chunks: list[list[str]]) -> None:
        texts = Texts.of(pa.chunked_array(chunks, kind))
        assert list(texts) == [string for chunk in chunks for string in chunk]

    def test_sliced_chunks(self, kind: pa.DataType) -> None:
        assert list(Texts.of(pa.chunked_array([STRINGS, STRINGS], kind).slice(5, 4))) == [*STRINGS, *STRINGS][5:9]

    def test_nothing_but_empty_texts(self, kind: pa.DataType) -> None:
        texts = Texts.of(pa.array(["", ""], kind))
        assert list(texts) == ["", ""]
        assert list(texts.lines) == ["", ""]
        assert len(texts.words) == 0

    def test_no_bytes_are_copied(self, kind: pa.DataType) -> None:
        column = pa.array(STRINGS, kind)
        assert Texts.of(column).utf8.ctypes.data == column.buffers()[2].address

    @pytest.mark.parametrize(("before", "row"), [([], 0), (["a", "b"], 2)])
    def test_null(self, kind: pa.DataType, before: list[str], row: int) -> None:
        with pytest.raises(TextError, match=f"row {row} is null"):
            Texts.of(pa.array([*before, None, "z"], kind))

    def test_a_null_outside_the_slice_is_no_matter(self, kind: pa.DataType) -> None:
        assert list(Texts.of(pa.array([None, "a", "b"], kind).slice(1))) == ["a", "b"]

    def test_the_row_of_a_null_is_the_slices(self, kind: pa.DataType) -> None:
        with pytest.raises(TextError, match="row 1 is null"):
            Texts.of(pa.array(["x", "a", None], kind).slice(1))


BROKEN = {
    "stray continuation": b"a\x80",
    "cut off": b"a\xe4\xb8",
    "overlong": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "latin-1": b"caf\xe9",
}


def strings_of_bytes(rows: list[bytes]) -> pa.Array:
    """A string column of any bytes, as a broken writer leaves it."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(b"".join(rows)))


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("row", [0, 2])
def test_invalid_utf8_is_refused_with_its_row(broken: bytes, row: int) -> None:
    rows = [b"fine", b"", b"fine too"]
    rows[row] = broken
    with pytest.raises(TextError, match=rf"invalid UTF-8.*\b{row}\b"):
        Texts.of(strings_of_bytes(rows))


def test_two_halves_of_a_character_in_neighbouring_rows_are_refused() -> None:
    with pytest.raises(TextError, match="invalid UTF-8"):
        Texts.of(strings_of_bytes([b"a\xc3", b"\xa9b"]))


@pytest.mark.parametrize("column", [pa.array([b"a"]), pa.array([1]), pa.array([["a"]]), pa.array(["a"]).dictionary_encode()])
def test_other_columns_are_refused(column: pa.Array) -> None:
    with pytest.raises(TextError, match="expected a column of strings"):
        Texts.of(column)


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        (["fine", "\ud800"], "row 1 cannot be UTF-8"),
        (["\udfff\ud800"], "row 0 cannot be UTF-8"),
        (["a", "b", 3], "row 2 is 3, not a string"),
        (["a", None], "row 1 is null"),
    ],
)
def test_python_strings_that_are_none(strings: list[str], message: str) -> None:
    with pytest.raises(TextError, match=message):
        Texts.of(strings)


@given(strings=TEXTS)
def test_there_and_back(strings: list[str]) -> None:
    texts = Texts.of(strings)
    assert len(texts) == len(strings)
    assert texts.to_arrow().to_pylist() == strings
    assert texts.byte_counts.tolist() == [len(string.encode()) for string in strings]
    assert texts.bytes == sum(len(string.encode()) for string in strings)


@given(strings=TEXTS, others=TEXTS, data=st.data())
def test_replace(strings: list[str], others: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.permutations(range(len(strings)))) if strings else []
    rows = rows[: len(others)]
    expected = list(strings)
    for row, other in zip(rows, others, strict=False):
        expected[row] = other
    texts = Texts.of(strings)
    assert list(texts.lines) == [line for string in strings for line in re.split("\r?\n", string)]
    replaced = texts.replace(np.array(rows, np.int64), Texts.of(others[: len(rows)]))
    assert list(replaced) == expected
    assert list(texts) == strings
    assert list(replaced.lines) == [line for string in expected for line in re.split("\r?\n", string)]  # nothing stale
    assert replaced.to_arrow().to_pylist() == expected


def test_replacing_nothing_gives_the_same_texts() -> None:
    texts = Texts.of(STRINGS)
    assert texts.replace(np.zeros(0, np.int64), Texts.of([])) is texts


@given(strings=TEXTS.filter(bool), data=st.data())
def test_take(strings: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(strings) - 1), max_size=9))
    texts = Texts.of(strings)
    taken = texts.take(np.array(rows, np.int64))
    assert list(taken) == [strings[row] for row in rows]
    assert taken.utf8 is texts.utf8 or taken.utf8.ctypes.data == texts.utf8.ctypes.data  # no text is copied


def test_taking_carries_along_what_was_remembered_in_two_dimensions() -> None:
    texts = Texts.of(["a", "b", "c"])
    texts.remember("pair", lambda t: np.arange(6).reshape(3, 2))
    taken = texts.take(np.array([2, 0])).take(np.array([1, 1, 0]))
    assert taken.remember("pair", lambda _: pytest.fail("made again")).tolist() == [[0, 1], [0, 1], [4, 5]]


def test_remembered_once() -> None:
    texts, calls = Texts.of(["a"]), []
    for _ in range(2):
        texts.remember("key", lambda t: calls.append(1) or np.zeros(1))
    assert calls == [1]


def test_texts_do_not_change() -> None:
    texts = Texts.of(STRINGS)
    for array in (texts.utf8, texts.starts, texts.ends, texts.lines.parents):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
