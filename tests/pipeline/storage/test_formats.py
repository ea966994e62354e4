"""Files of documents of every format give the same documents, and wrong ones are refused by file and line."""

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldwash.pipeline.storage import batches
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats import format_by_name, format_of, json_lines, parquet_rows
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.source import Input, Reading
from goldwash.pipeline.storage.tables import texts_of, with_column, with_fields

TEXTS = ["gold", "", "größe\n和", "x" * 5000, 'a "quoted", text']


def read(source: object, **options: object) -> pa.Table:
    source = source if isinstance(source, Input) else Input(str(source), 0, str(source), **options)
    tables = list(read_batches(source))
    for table in tables:
        assert table.schema == schema_of(source)
    return pa.concat_tables(tables) if tables else schema_of(source).empty_table()


def parquet(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def lines(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def comma_separated(rows: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".json", ".csv"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_formats_and_packings_give_the_same_documents(tmp_path, ending, packing, mark):
    path = tmp_path / f"a{ending}{packing}"
    plain = (
        comma_separated([["text", "n"], *([text, str(n)] for n, text in enumerate(TEXTS))])
        if ending == ".csv"
        else "".join(json.dumps({"text": text, "n": n}) + "\r\n" for n, text in enumerate(TEXTS)).encode()
    )
    path.write_bytes(PACKERS[packing](mark + plain))
    table = read(path)
    assert table["text"].to_pylist() == TEXTS
    assert table["n"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["id"].to_pylist() == [f"{path.name}#{n}" for n in range(5)]
    assert table.schema.field("text").type == pa.large_string()


def test_several_members_and_frames_are_one_file(tmp_path):
    halves = [b'{"text": "a"}\n{"te', b'xt": "b"}\n']
    (tmp_path / "a.jsonl.gz").write_bytes(b"".join(map(gzip.compress, halves)))
    (tmp_path / "a.jsonl.zst").write_bytes(b"".join(map(zstandard.compress, halves)))
    for name in ("a.jsonl.gz", "a.jsonl.zst"):
        assert read(tmp_path / name)["text"].to_pylist() == ["a", "b"]


def test_the_packing_is_told_by_the_bytes_and_not_by_the_name(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(b'{"text": "a"}\n')
    assert read(tmp_path / "a.jsonl.gz")["text"].to_pylist() == ["a"]


@pytest.mark.parametrize("packing", [".gz", ".zst", ".bz2", ".xz"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_packed_file_that_was_cut_off_is_refused(tmp_path, packing, share):
    rng = np.random.default_rng(0)
    whole = PACKERS[packing](b"".join(b'{"text": "%s"}\n' % rng.bytes(200).hex().encode() for _ in range(500)))
    path = tmp_path / f"a.jsonl{packing}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"a\.jsonl.*cut off or broken.*again"):
        read(path)


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_packed_file_with_a_flipped_bit_is_refused(tmp_path, packing):
    text = np.random.default_rng(1).bytes(20_000).hex()
    whole = bytearray(
        gzip.compress(json.dumps({"text": text}).encode())
        if packing == ".gz"
        else zstandard.ZstdCompressor(write_checksum=True).compress(json.dumps({"text": text}).encode())
    )
    whole[len(whole) // 2] ^= 4
    (tmp_path / f"a.jsonl{packing}").write_bytes(whole)
    with pytest.raises(DataError, match=r"a\.jsonl"):
        read(tmp_path / f"a.jsonl{packing}")


# --- JSON lines: types


def test_columns_have_one_type_from_the_first_row_to_the_last(tmp_path):
    rows = [{"text": "a", "whole": 1, "number": 1, "mixed": 1, "flag": True, "tags": ["x"], "nothing": None}] * 2000
    rows.append({"text": "b", "number": 0.5, "mixed": "one", "tags": [], "late": "here", "large": 1 << 70})
    table = read(lines(tmp_path / "a.jsonl", rows))
    last = table.slice(2000).to_pylist()[0]
    assert (last["whole"], last["number"], last["mixed"], last["flag"], last["tags"]) == (None, 0.5, '"one"', None, "[]")
    assert (last["late"], last["large"]) == ("here", str(1 << 70))
    assert table.schema.field("nothing").type == pa.string()
    assert table.num_rows == 2001


def test_numbers_that_doubles_cannot_hold_are_kept_exactly(tmp_path):
    table = read(lines(tmp_path / "a.jsonl", [{"text": "a", "n": (1 << 53) + 1}, {"text": "b", "n": 0.5}]))
    assert table["n"].to_pylist() == [str((1 << 53) + 1), "0.5"]


def test_what_strict_json_refuses_and_files_hold_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "half \\ud83d", "n": NaN}\n\n{"text": "whole \\ud83d\\ude00", "n": 1}\n')
    table = read(tmp_path / "a.jsonl")
    assert table["text"].to_pylist() == ["half �", "whole 😀"]
    assert math.isnan(table["n"][0].as_py())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n{"text": \n', "line 2, is not JSON"),
        (b'{"text": "a"}\n[1]\n', "line 2: expected a JSON object on each line, found a list"),
        (b'[{"text": "a"}]\n', "line 1: expected a JSON object on each line, found a list: .*jq"),
        (b'[\n  {"text": "a"}\n]\n', "line 1, is not JSON: expected one JSON object per line"),
        (b'{"text": "a"}\n"b"\n', "line 2: .*found a string"),
        (b'{"text": "a\xff"}\n', "line 1, is not UTF-8"),
        (b'{"text": ["a"]}\n', "column text: expected strings, found objects, lists"),
        (b'{"text": 1}\n', "column text: expected a column of strings, found int64"),
        (b'{"content": "a"}\n', "has no column 'text' .it has: content.: say which column .*--text-column"),
        ('{"text": "a"}\n'.encode("utf-16"), "UTF-16"),
        (b"[" * 100_000 + b"\n", "line 1, is not JSON"),
    ],
)
def test_lines_that_are_no_documents(tmp_path, content, message):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=rf"(?s)a\.jsonl.*({message})"):
        read(tmp_path / "a.jsonl")


def test_an_empty_file_of_lines_holds_no_documents(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n")
    assert read(tmp_path / "a.jsonl").num_rows == 0


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"text": st.text()}, optional={
    "a": st.none() | st.booleans(), "b": st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
    "c": st.floats(allow_nan=False, allow_infinity=False),
    "d": st.text(), "e": st.lists(st.integers(0, 9)),
    "f": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    "g": st.one_of(st.integers(), st.text(), st.none()),
}), min_size=1, max_size=20))  # fmt: skip
def test_an_export_of_all_columns_is_read_back(tmp_path, rows):
    from goldwash.pipeline.export.json_lines import export_jsonl

    folder = tmp_path / uuid.uuid4().hex
    folder.mkdir()
    (file,) = export_jsonl([str(lines(folder / "a.jsonl", rows))], str(folder / "out"))
    again = read(file)
    assert again.drop_columns(["id"]) == read(folder / "a.jsonl").drop_columns(["id"])
    with zstandard.open(file, "rt", encoding="utf-8") as opened:
        for row, line in zip(rows, opened, strict=True):
            held = json.loads(line)
            assert {key: value for key, value in held.items() if key in row} == row
            assert all(value is None for key, value in held.items() if key not in (*row, "id", "url"))


# --- CSV


def test_csv_types_and_quoting(tmp_path):
    head = ["id", "text", "whole", "number", "code", "empty"]
    rows = [["1", "a\nb", "5", "0.5", "007", ""], ["2", 'say "x", y', "", "1e3", "7", ""]]
    (tmp_path / "a.csv").write_bytes(comma_separated([head, *rows]))
    table = read(tmp_path / "a.csv")
    assert table.drop_columns(["url"]).to_pylist() == [
        {"id": "1", "text": "a\nb", "whole": 5, "number": 0.5, "code": "007", "empty": ""},
        {"id": "2", "text": 'say "x", y', "whole": None, "number": 1000.0, "code": "7", "empty": ""},
    ]


def test_a_text_column_of_numbers_is_text(tmp_path):
    (tmp_path / "a.csv").write_text("text\n1\n2\n")
    assert read(tmp_path / "a.csv")["text"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize(("name", "separator"), [("a.tsv", "\t"), ("a.csv", ";"), ("a.csv", ",")])
def test_separators(tmp_path, name, separator):
    (tmp_path / name).write_text(f"text{separator}n\ngold{separator}1\n")
    assert read(tmp_path / name).select(["text", "n"]).to_pylist() == [{"text": "gold", "n": 1}]


def test_a_field_of_any_length(tmp_path):
    (tmp_path / "a.csv").write_bytes(comma_separated([["text"], ["word " * 100_000]]))
    assert len(read(tmp_path / "a.csv")["text"][0].as_py()) == 500_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text,n\na\n", "line 2: 1 fields, and the header has 2"),
        (b"text,n\na,1,2\n", "line 2: 3 fields"),
        (b"text,text\na,b\n", "two columns have one name"),
        (b'text\n"a" b\n', "line 2"),
        (b"text\n\xff\n", "is not UTF-8"),
        (b"", "is empty: expected a header"),
    ],
)
def test_csv_files_that_are_wrong(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.csv.*{message}"):
        read(tmp_path / "a.csv")


# --- names and first bytes


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.parquet", "Parquet"), ("A.PARQUET", "Parquet"), ("https://h.example/a.parquet?download=true", "Parquet"),
        ("https://h.example/a.jsonl.gz?x=1#y", "JSON lines"), ("c4.00000-of-01024.json.gz", "JSON lines"), ("a.tsv.zst", "CSV"),
        ("s3://b/x.pq", "Parquet"),
    ],
)  # fmt: skip
def test_formats_by_name(name, format_):
    found = format_by_name(name)
    assert found is not None
    assert found.name == format_


@pytest.mark.parametrize("name", ["a.warc.gz", "a.txt", "parquet", "a.parquet.gz", "https://h.example/?f=a.parquet"])
def test_names_of_no_format(name):
    assert format_by_name(name) is None


def test_a_file_of_another_ending_is_known_by_its_first_bytes(tmp_path):
    parquet(tmp_path / "download", text=["gold"])
    lines(tmp_path / "part-00000", [{"text": "gold"}])
    for name in ("download", "part-00000"):
        assert read(tmp_path / name)["text"].to_pylist() == ["gold"]
    (tmp_path / "notes").write_text("a page\n")
    with pytest.raises(DataError, match=r"notes: expected a file of documents"):
        format_of(str(tmp_path / "notes"))


# --- columns


def test_columns_by_other_names(tmp_path):
    path = parquet(tmp_path / "a.parquet", content=["gold"], text=["older"], key=[7], link=["http://a.example/"])
    table = read(path, reading=Reading("content", "key", "link"))
    assert table.select(["text", "id", "url", "input_text"]).to_pylist() == [
        {"text": "gold", "id": "7", "url": "http://a.example/", "input_text": "older"}
    ]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_one_column_for_two_roles(tmp_path, ending):
    rows = [{"text": "gold", "url": "http://a.example/"}]
    path = tmp_path / f"a.{ending}"
    pq.write_table(pa.Table.from_pylist(rows), path) if ending == "parquet" else lines(path, rows)
    assert read(path, reading=Reading(id="url")).to_pylist() == [
        {"text": "gold", "url": "http://a.example/", "id": "http://a.example/"}
    ]
    assert read(path, reading=Reading(id="text")).to_pylist() == [{"text": "gold", "url": "http://a.example/", "id": "gold"}]
    whole = read(path, reading=Reading("url", "url")).to_pylist()
    assert whole == [{"text": "http://a.example/", "url": "http://a.example/", "id": "http://a.example/", "input_text": "gold"}]


def test_columns_whose_kept_name_is_taken(tmp_path):
    path = parquet(
        tmp_path / "a.parquet", text=["older"], body=["gold"], input_text=["oldest"], language=["de"], input_language=["da"]
    )
    table = read(path, reading=Reading("body"))
    schema = with_fields(table.schema, language=pa.string())
    row = with_column(table, "language", pa.array(["en"])).to_pylist()[0]
    assert list(row) == schema.names
    kept = {"text": "gold", "input_input_text": "older", "input_text": "oldest"}
    assert row == {
        **kept,
        "language": "en",
        "input_input_language": "de",
        "input_language": "da",
        "id": "a.parquet#0",
        "url": "",
    }


@pytest.mark.parametrize("twin", ["text", "id", "note"])
def test_two_columns_of_one_name(tmp_path, twin):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([["a"], ["b"], ["c"]], ["text", twin, twin]), path)
    with pytest.raises(DataError, match=rf"a\.parquet has several columns of one name \({twin}\): rename all but one of each"):
        read(path)


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_field_inside_an_object(tmp_path, ending):
    rows = [{"doc": {"body": "gold", "n": 1}}, {"doc": {"body": "pan", "n": 2}}]
    path = tmp_path / f"a.{ending}"
    pq.write_table(pa.Table.from_pylist(rows), path) if ending == "parquet" else lines(path, rows)
    assert read(path, reading=Reading("doc.body"))["text"].to_pylist() == ["gold", "pan"]


@pytest.mark.parametrize("option", ["text", "id", "url"])
def test_a_named_column_that_there_is_not(tmp_path, option):
    path = parquet(tmp_path / "a.parquet", text=["gold"])
    with pytest.raises(DataError, match=rf"no column 'nothing' \(it has: text\).*--{option}-column"):
        read(path, reading=Reading(**{option: "nothing"}))


@pytest.mark.parametrize("option", ["text", "id", "url"])
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_named_field_that_there_is_not(tmp_path, option, ending):
    rows, path = [{"text": "gold", "doc": {"n": 1}}, {"text": "pan", "doc": {"n": 2}}], tmp_path / f"a.{ending}"
    pq.write_table(pa.Table.from_pylist(rows), path) if ending == "parquet" else lines(path, rows)
    for name in ("doc.body", "text.body", "none.body"):
        with pytest.raises(DataError, match=rf"no column '{name}' \(it has: .*--{option}-column"):
            read(path, reading=Reading(**{option: name}))


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_null_texts(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    rows = [{"text": None, "id": "a"}, {"text": "gold", "id": "b"}, {"text": None, "id": "c"}]
    pq.write_table(pa.Table.from_pylist(rows), path) if ending == "parquet" else lines(path, rows)
    with pytest.raises(DataError, match=r"column text: row 0 is null, .*--on-null drop or --on-null empty"):
        read(path)
    assert read(path, reading=Reading(on_null="empty"))["text"].to_pylist() == ["", "gold", ""]
    gone: list[pa.Table] = []
    tables = list(read_batches(Input(str(path), 0, "", reading=Reading(on_null="drop")), on_dropped=gone.append))
    assert pa.concat_tables(tables)["id"].to_pylist() == ["b"]
    assert pa.concat_tables(gone)["id"].to_pylist() == ["a", "c"]


@pytest.mark.parametrize("rows", [0, 3])
def test_columns_of_arrows_null_type(tmp_path, rows):
    path = parquet(
        tmp_path / "a.parquet", text=["x"] * rows or pa.nulls(0), id=pa.nulls(rows), url=pa.nulls(rows), more=pa.nulls(rows)
    )
    table = read(path)
    assert table["id"].to_pylist() == [f"a.parquet#{n}" for n in range(rows)]
    assert table["url"].to_pylist() == [""] * rows
    assert [str(table.schema.field(name).type) for name in ("text", "id", "url")] == ["large_string", "string", "string"]


VIEW = pa.string_view()
VIEWS = {
    "string": pa.array(["a", None, "c"], VIEW),
    "binary": pa.array([b"a", None, b"c"], pa.binary_view()),
    "list": pa.array([["a"], None, ["c"]], pa.list_(VIEW)),
    "struct": pa.array([{"x": "a"}, None, {"x": "c"}], pa.struct([("x", VIEW)])),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_views_can_be_taken_from(tmp_path, kind):
    table = read(parquet(tmp_path / "a.parquet", text=["a", "b", "c"], view=VIEWS[kind]))
    assert table.take([2, 0])["view"].to_pylist() == [VIEWS[kind][2].as_py(), VIEWS[kind][0].as_py()]


IDS = [uuid.UUID(int=n << 100 | n) for n in range(1, 4)]


def test_uuids_are_their_text(tmp_path):
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([i.bytes for i in IDS], pa.binary(16)))
    assert read(parquet(tmp_path / "a.parquet", text=["a", "b", "c"], id=column))["id"].to_pylist() == list(map(str, IDS))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(5)], ids=str)
@pytest.mark.parametrize("column", ["text", "id", "url"])
def test_bytes_are_decoded_or_refused_by_row(tmp_path, kind, column):
    columns = {"text": ["a", "b"], column: pa.array(["größe"[:3].encode() + b"e", b"pan"[:3] + b"ss"], pa.binary()).cast(kind)}
    assert read(parquet(tmp_path / "a.parquet", **columns))[column].to_pylist() == ["größe"[:3] + "e", "panss"]
    columns[column] = pa.array([b"whole", b"\xff\xfe\xfd\xfc\xfb"], pa.binary()).cast(kind)
    with pytest.raises(DataError, match=rf"a\.parquet, column {column}, row 1: bytes that are not UTF-8"):
        read(parquet(tmp_path / "a.parquet", **columns))


@pytest.mark.parametrize("column", [pa.array([1.5]), pa.array([["x"]]), pa.array([{"a": 1}])])
def test_columns_that_are_no_ids(tmp_path, column):
    with pytest.raises(DataError, match="column id: expected a column of strings"):
        read(parquet(tmp_path / "a.parquet", text=["a"], id=column))


def test_the_users_own_columns_are_not_overwritten(tmp_path):
    path = parquet(tmp_path / "a.parquet", text=["a"], language=["de"], copy_count=[3], title=["t"])
    schema = with_fields(schema_of(str(path)), language=pa.string(), title=pa.string())
    assert schema.names == ["text", "input_language", "copy_count", "title", "id", "url", "language"]
    table = with_column(with_column(read(path), "language", pa.array(["en"])), "language", pa.array(["fr"]))
    row = table.to_pylist()[0]
    assert (row["input_language"], row["language"], row["copy_count"]) == ("de", "fr", 3)
    again = with_column(with_column(read(path), "language", pa.array(["en"])), "copy_count", pa.array([1]))
    assert again["input_copy_count"].to_pylist() == [3]


# --- some columns


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
@pytest.mark.parametrize("wanted", [(), ("n", "none"), ("input_text",)])
def test_wanted_columns_are_those_of_all_columns(tmp_path, ending, wanted):
    rows = [{"text": "older", "doc": {"body": f"b{n}", "id": f"i{n}", "more": n}, "n": n, "html": "x" * n} for n in range(50)]
    path = tmp_path / f"a.{ending}"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7) if ending == "parquet" else lines(path, rows)
    source = Input(str(path), 0, "a", reading=Reading("doc.body", "doc.id"))
    whole = pa.concat_tables(read_batches(source)).combine_chunks()
    some = pa.concat_tables(read_batches(source, columns=wanted)).combine_chunks()
    assert sorted(some.column_names) == sorted({"text", "id", "url", *wanted} - {"none"})
    assert some.equals(whole.select(some.column_names))


def test_wanted_columns_of_a_plain_file_with_generated_ids_and_null_texts(tmp_path):
    path = parquet(tmp_path / "a.parquet", text=["a", None, "b"], score=[1.0, 2.0, 3.0], html=["x", "y", "z"])
    gone: list[pa.Table] = []
    source = Input(str(path), 0, "a", name="a", reading=Reading(on_null="drop"))
    table = pa.concat_tables(read_batches(source, on_dropped=gone.append, columns=["score"]))
    assert table.to_pylist() == [
        {"text": "a", "score": 1.0, "id": "a#0", "url": ""},
        {"text": "b", "score": 3.0, "id": "a#2", "url": ""},
    ]
    assert pa.concat_tables(gone)["id"].to_pylist() == ["a#1"]


def test_columns_that_are_not_wanted_are_not_read(tmp_path):
    """A broken page of another column is noticed by who reads that column, and by nobody else; rows are counted without it."""
    html = ["".join(map(chr, np.random.default_rng(n).integers(97, 123, 50_000))) for n in range(8)]
    path, table = tmp_path / "a.parquet", pa.table({"text": [f"{n}" for n in range(8)], "html": html})
    pq.write_table(table, path, use_dictionary=False, write_page_checksum=True)
    group = pq.read_metadata(path).row_group(0)
    assert parquet_rows.rows_at_once(group) == 2
    assert parquet_rows.rows_at_once(group, ["text", "id", "url"]) == 1024
    data, place = bytearray(path.read_bytes()), group.column(1).data_page_offset + 30_000
    data[place] ^= 1
    path.write_bytes(data)
    assert pa.concat_tables(read_batches(str(path), columns=()))["text"].to_pylist() == [f"{n}" for n in range(8)]
    with pytest.raises(DataError):
        list(read_batches(str(path)))


# --- bounded memory


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=60), st.booleans(), st.integers(1, 20))
def test_batches_are_bounded_by_all_columns(tmp_path, sizes, dictionary, group):
    path = tmp_path / f"{uuid.uuid4().hex}.parquet"
    columns = {"text": [str(n) for n in range(len(sizes))], "html": ["x" * size for size in sizes]}
    pq.write_table(pa.table(columns), path, use_dictionary=dictionary, row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "MOST_BYTES", 5000)
        tables = list(read_batches(str(path)))
    assert [text for table in tables for text in table["text"].to_pylist()] == columns["text"]
    for table in tables:
        assert table.num_rows == 1 or table.nbytes < 2 * 5000 + 4000


@pytest.mark.parametrize("group_rows", [7, 100, 1000])
@pytest.mark.parametrize("size", [1, 3000, 300_000])
def test_a_file_of_any_row_groups_is_read_in_few_tables_of_bounded_size(tmp_path, monkeypatch, group_rows, size):
    monkeypatch.setattr(parquet_rows, "READ_BYTES", 10_000)
    monkeypatch.setattr(parquet_rows, "TABLE_BYTES", 50_000)
    texts = [f"{n} " + "x" * (size * (n % 3) // 2) for n in range(60)]
    pq.write_table(pa.table({"text": texts, "n": range(60)}), tmp_path / "a.parquet", row_group_size=group_rows)
    with parquet_rows.opened(Input(str(tmp_path / "a.parquet"), 0, "a")) as rows:
        tables = list(rows.tables())
    assert pa.concat_tables(tables).to_pydict() == {"text": texts, "n": list(range(60))}
    assert all(column.num_chunks == 1 for table in tables for column in table.columns)
    assert all(table.nbytes >= 50_000 for table in tables[:-1])
    assert all(table.nbytes < 50_000 + 20_000 or table.nbytes < 50_000 + 2 * size for table in tables)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=80), st.integers(1, 40_000))
def test_own_shards_give_the_batches_of_any_file_without_another_copy(tmp_path, sizes, group):
    """A file whose digest is known is read in larger pieces; the batches, on which row groups depend, stay the same."""
    path = tmp_path / f"{uuid.uuid4().hex}.parquet"
    table = pa.table({"id": map(str, range(len(sizes))), "url": ["u"] * len(sizes), "text": ["x" * n for n in sizes]})
    writer = ShardWriter(str(path), table.schema, group_bytes=group)
    for start in range(0, len(sizes), 7):
        writer.write(table.slice(start, 7))
    facts = writer.commit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_rows, "READ_BYTES", 1000)
        patch.setattr(parquet_rows, "TABLE_BYTES", 3000)
        patch.setattr(parquet_rows, "SHARD_BYTES", 20_000)
        own = Input(str(path), facts["bytes"], facts["sha256"])
        with parquet_rows.opened(own) as rows:
            first = rows._parquet.metadata.row_group(0)
            tables = list(rows.tables())
        whole, other = (list(read_batches(source, 5000)) for source in (own, str(path)))
    assert tables[0].num_rows == min(first.num_rows, max(20_000 // parquet_rows.mean_bytes(first), 1))
    assert all(column.num_chunks == 1 for table in tables for column in table.columns)
    assert [batch.to_pydict() for batch in whole] == [batch.to_pydict() for batch in other]
    assert sum(batch.num_rows for batch in whole) == len(sizes)


def test_a_long_value_that_a_dictionary_stores_once_is_not_unpacked_for_every_row(tmp_path):
    page = "<p>x</p>" * (1 << 17)
    pq.write_table(pa.table({"text": ["a"] * 600, "html": [page] * 600}), tmp_path / "a.parquet", use_dictionary=True)
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    assert group.total_byte_size < 2_000_000
    assert parquet_rows.rows_at_once(group) * len(page) <= parquet_rows.MOST_BYTES
    assert sum(table.num_rows for table in read_batches(str(tmp_path / "a.parquet"))) == 600


MEASURED = """
import resource, sys
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.parquet import ShardWriter
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
writer = ShardWriter(sys.argv[2], schema_of(sys.argv[1]))
for table in read_batches(sys.argv[1]):
    writer.write(table.take(list(range(table.num_rows))))
print(writer.commit()["rows"], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""


@pytest.mark.parametrize("dictionary", [False, True])
def test_pages_of_a_megabyte_beside_short_texts_take_bounded_memory(tmp_path, dictionary):
    page = "<p>x</p>" * (1 << 17)
    schema = pa.schema([("text", pa.string()), ("html", pa.string())])
    with pq.ParquetWriter(tmp_path / "a.parquet", schema, compression="zstd", use_dictionary=dictionary) as writer:
        for n in range(0, 400, 20):
            writer.write_table(pa.table([[f"Page {n + k}." for k in range(20)], [page] * 20], schema=schema))
    words = [sys.executable, "-c", MEASURED, str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]
    rows, megabytes = map(int, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert rows == 400
    assert megabytes < 300


def test_kinds_of_a_file_are_read_again_when_it_changes(tmp_path):
    path = lines(tmp_path / "a.jsonl", [{"text": "a", "n": 1}])
    assert schema_of(str(path)).field("n").type == pa.int64()
    lines(path, [{"text": "a", "n": "one"}])
    assert schema_of(str(path)).field("n").type == pa.string()
    assert json_lines.kinds_of(Input(str(path), 0, str(path)))[1] == ("n", "string")


def test_texts_can_be_measured_in_every_format(tmp_path):
    for path in (parquet(tmp_path / "a.parquet", text=TEXTS), lines(tmp_path / "a.jsonl", [{"text": t} for t in TEXTS])):
        assert list(texts_of(read(path), "text", str(path))) == TEXTS
