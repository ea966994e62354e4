"""Examples: every shape and kind of file, encodings and types, and r/explainlikeimfive from made-up Reddit dumps."""

import gzip
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from goldwash.classifiers.examples import Example, TrainingError, eli5, examples, reddit_text

Row = dict[str, Any]

FEW: list[tuple[list[Row], list[tuple[str, str]]]] = [
    ([{"text": "a"}, {"text": " "}, {"text": None}, {"text": "b", "source": "s"}], [("a", "FILE"), ("b", "s")]),
    ([{"question": "q?", "answer": "x"}, {"question": "", "answer": None}], [("q?\n\nx", "FILE")]),
    ([{"question": "only asked", "answer": ""}], [("only asked\n\n", "FILE")]),
    ([{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "x"}]}], [("q x", "FILE")]),
    (
        [
            {"conversations": [{"from": "system", "value": "be"}, {"from": "human", "value": "q"}], "source": "codegen"},
            {"conversations": [], "source": "codegen"},
            {"conversations": None, "source": "roleplay"},
            {"conversations": [{"from": "human", "value": None}, {"from": "gpt", "value": "x"}], "source": "roleplay"},
        ],
        [("be q", "codegen"), (" x", "roleplay")],
    ),
]


def long_window(data: bytes) -> bytes:
    """Compressed like Reddit's dumps: ``zstd --long=31``, a window that a reader must allow."""
    settings = zstandard.ZstdCompressionParameters.from_level(1, window_log=31)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    packed = packer.compress(data) + packer.flush()
    assert zstandard.get_frame_parameters(packed).window_size == 2**31
    return packed


def in_frames(data: bytes) -> bytes:
    """Several frames, the last one empty, cut within a line and within a character; and a skippable frame."""
    cuts = [0, 1, len(data) // 2, len(data) // 2 + 1, len(data), len(data)]
    frames = [zstandard.compress(data[a:b]) for a, b in pairwise(cuts)]
    return b"".join([frames[0], b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc", *frames[1:]])


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    "-long.zst": long_window,
    "-frames.zst": in_frames,
}


def put(folder: Path, name: str, rows: Sequence[Row], packed: str = "") -> Path:
    """A file of these rows, in the format and compression that its ending names."""
    kind = "." + name.rsplit(".", 1)[-1]
    path = folder / (name.replace(kind, packed.replace(".zst", "") + kind) + (".zst" if "zst" in packed else packed))
    if kind == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
        return path
    lines = [r["text"] for r in rows] if kind == ".txt" else [json.dumps(row, ensure_ascii=False) for row in rows]
    data = f"[{', '.join(lines)}]" if kind == ".json" else "\n".join(lines) + "\n"
    path.write_bytes(PACKED[packed](data.encode()))
    return path


def found(name: str | Path) -> list[tuple[str, str]]:
    return [(example.text, example.source) for example in examples(name)]


@pytest.mark.parametrize(("rows", "expected"), FEW, ids=lambda value: "-".join(value[0]) if isinstance(value[0], dict) else "")
@pytest.mark.parametrize("kind", [".parquet", ".jsonl", ".json"])
def test_every_shape_in_every_kind_of_file(rows: list[Row], expected: list[tuple[str, str]], kind: str, tmp_path: Path) -> None:
    if kind == ".parquet":
        columns = {key: [row.get(key) for row in rows] for key in rows[-1]}
        pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    else:
        put(tmp_path, f"x{kind}", rows)
    assert found(tmp_path / f"x{kind}") == [(text, source.replace("FILE", f"x{kind}")) for text, source in expected]


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("kind", [".jsonl", ".json", ".txt"])
def test_every_packing(kind: str, packed: str, tmp_path: Path) -> None:
    texts = [f"gold wäsche 🚀 {k}" for k in range(3000)]
    path = put(tmp_path, f"x{kind}", [{"text": text} for text in texts], packed)
    assert [e.text.rstrip("\n") for e in examples(path)] == texts


def test_a_text_file_has_one_example_per_line(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("one\r\n\n \n two\u2028two\nlast".encode())
    assert [e.text.strip() for e in examples(tmp_path / "x.txt")] == ["one", "two\u2028two", "last"]


def test_an_example_keeps_the_name_that_the_user_gave(tmp_path: Path) -> None:
    path = put(tmp_path, "x.jsonl", [{"body": "gold", "source": "river"}])
    assert list(examples(f"{path}::body")) == [Example("gold", "river", f"{path}::body")]
    (tmp_path / "a.txt").write_text("sand\n")
    assert [e.origin for e in examples(tmp_path / "a.txt")] == [str(tmp_path / "a.txt")]


@pytest.mark.parametrize("kind", [".parquet", ".jsonl", ".json"])
def test_another_column_is_named(kind: str, tmp_path: Path) -> None:
    rows = [{"text": "no", "content": "yes"}, {"text": "no", "content": ""}, {"text": "no", "content": None}]
    path = put(tmp_path, f"x{kind}", rows)
    assert [text for text, _ in found(f"{path}::content")] == ["yes"]
    with pytest.raises(TrainingError, match=rf"x{kind} has no column 'contents'; it has text, content"):
        list(examples(f"{path}::contents"))


def test_a_number_is_a_text_too(tmp_path: Path) -> None:
    assert [text for text, _ in found(f"{put(tmp_path, 'x.jsonl', [{'n': 5}])}::n")] == ["5"]


def test_a_folder_stands_for_all_its_files_in_order(tmp_path: Path) -> None:
    put(tmp_path, "b.parquet", [{"text": "second"}])
    put(tmp_path, "a.jsonl", [{"text": "first"}])
    put(tmp_path, "c.txt", [{"text": "third"}], ".gz")
    put(tmp_path, "reports-of-1890.jsonl", [{"text": "fourth"}])
    (tmp_path / "README.md").write_text("not read")
    (tmp_path / ".half-x.jsonl").write_text("not read")
    (tmp_path / "below").mkdir()
    assert [e.text.strip() for e in examples(tmp_path)] == ["first", "second", "third", "fourth"]
    assert {e.origin for e in examples(tmp_path)} == {str(tmp_path)}


def test_a_stages_folder_stands_for_its_shards(tmp_path: Path) -> None:
    put(tmp_path, "part-00000.parquet", [{"text": "kept", "url": "u"}])
    (tmp_path / "dropped").mkdir()
    put(tmp_path / "dropped", "part-00000.parquet", [{"text": "dropped"}])
    (tmp_path / "stage.json").write_text("{}")
    with pytest.raises(TrainingError, match="holds an unfinished stage"):
        list(examples(tmp_path))
    (tmp_path / "report.json").write_text("{}")
    assert [e.text for e in examples(tmp_path)] == ["kept"]


def test_a_folder_without_examples(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(TrainingError, match=r"no examples there; expected files ending in .parquet, .jsonl"):
        list(examples(tmp_path))


BROKEN: list[tuple[str, bytes, str]] = [
    ("x.jsonl", b'{"body": "a", "title": "b"}', "rows with body, title; expected `text`, or `question` and `answer`"),
    ("x.jsonl", b'{"question": "a"}', "rows with question; expected `text`"),
    ("x.jsonl", b'{"text": "a"}\n\n{"text": \n{"text": "b"}', r"x\.jsonl, line 3, is not JSON"),
    ("x.jsonl", b'{"text": "a"}\n[1, 2]\n', r"x\.jsonl, row 1: expected an object with a text, found list"),
    ("x.jsonl", b'{"text": "a"}\n"b"\n', r"x\.jsonl, row 1: expected an object with a text, found str"),
    ("x.jsonl", b'{"text": "\xff"}\n', r"x\.jsonl cannot be read \(it is not UTF-8: a byte is 0xff; convert it with `iconv"),
    ("x.jsonl", '{"text": "a"}'.encode("utf-16"), r"x\.jsonl cannot be read \(it is in UTF-16; expected UTF-8: convert it"),
    ("x.txt", "gold".encode("utf-16"), r"x\.txt cannot be read \(it is in UTF-16"),
    ("x.jsonl", b'{"conversations": ["hello"]}', r"x\.jsonl, row 0: expected conversations as a list of objects with a value"),
    ("x.jsonl", b'{"conversations": "hello"}', r"x\.jsonl, row 0: expected conversations as a list of objects with a value"),
    ("x.jsonl", b'{"conversations": [{"role": "user", "content": "hi"}]}', "objects with a value"),
    ("x.json", b"[", r"x\.json cannot be read"),
    ("x.json", b'{"data": [{"text": "a"}]}', r"x\.json holds a dict; expected a list of examples"),
    ("x.json", b"[[1]]", r"x\.json, row 0: expected an object with a text, found list"),
    ("x.parquet", b"no parquet", r"x\.parquet cannot be read"),
    ("x.parquet", b"", r"x\.parquet cannot be read"),
    ("x.csv", b"text\na", r"x\.csv: examples are read from \.parquet, \.jsonl"),
    ("x.jsonl.gz", b"no gzip", r"x\.jsonl\.gz cannot be read"),
    ("x.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99)[:-9], r"x\.jsonl\.gz cannot be read"),
    ("x.jsonl.zst", b"no zstd", r"x\.jsonl\.zst cannot be read"),
    ("x.jsonl.zst", zstandard.compress(b'{"text": "a"}\n' * 99)[:-1], r"x\.jsonl\.zst cannot be read"),
    ("x.txt.zst", zstandard.compress(b"a\n") + zstandard.compress(b"b\n" * 500000)[:-3], r"x\.txt\.zst cannot be read"),
    ("x.jsonl.zst", long_window(b'{"text": "a"}\nno JSON'), r"x\.jsonl\.zst, line 2, is not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=[f"{n}-{case[0]}" for n, case in enumerate(BROKEN)])
def test_errors_of_broken_files_name_the_place(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=message):
        list(examples(tmp_path / name))


def test_examples_before_a_broken_line_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n{')
    read = examples(tmp_path / "x.jsonl")
    assert [next(read).text, next(read).text] == ["a", "b"]


@pytest.mark.parametrize("name", ["gone.jsonl", "gone.parquet", "gone.txt.zst", "gone"])
def test_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no examples at"):
        list(examples(tmp_path / name))


@pytest.mark.parametrize("name", ["x.jsonl", "x.txt", "x.jsonl.zst", "x.jsonl.gz"])
def test_an_empty_file_has_no_example(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
    assert list(examples(tmp_path / name)) == []


def test_a_lone_surrogate_becomes_a_question_mark(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "gold \\ud83d wash \\ud83d\\ude80"}\n')
    assert [e.text for e in examples(tmp_path / "x.jsonl")] == ["gold ? wash 🚀"]


# --- types and encodings

GOLD = ["gold wäsche", "", None, "🚀 b'x' ['y']"]

TEXT_TYPES = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}


@pytest.mark.parametrize("kind", TEXT_TYPES)
@pytest.mark.parametrize("columns", [("text",), ("body",), ("question", "answer")], ids="-".join)
def test_columns_of_every_type_of_text_are_read_as_texts(kind: str, columns: tuple[str, ...], tmp_path: Path) -> None:
    values: list[Any] = [v.encode() if v is not None and "binary" in kind else v for v in GOLD]
    encoded = pa.array(values) if kind == "dictionary" else pa.array(values, TEXT_TYPES[kind])
    if kind == "dictionary":
        encoded = encoded.dictionary_encode()
    pq.write_table(pa.table(dict.fromkeys(columns, encoded)), tmp_path / "x.parquet")
    name = f"{tmp_path / 'x.parquet'}{'::body' if columns == ('body',) else ''}"
    whole = [value for value in GOLD if value]
    expected = [f"{value}\n\n{value}" for value in whole] if len(columns) == 2 else whole
    assert [e.text for e in examples(name)] == expected


def test_conversations_in_binary_columns_are_decoded(tmp_path: Path) -> None:
    turns = pa.array([[{"value": "wäsche".encode()}, {"value": b"gold"}]], pa.list_(pa.struct({"value": pa.binary()})))
    pq.write_table(pa.table({"conversations": turns}), tmp_path / "x.parquet")
    assert [e.text for e in examples(tmp_path / "x.parquet")] == ["wäsche gold"]


NO_TEXTS: dict[str, pa.Array] = {
    "list": pa.array([["a"], ["b", "c"]]),
    "struct": pa.array([{"a": "b"}, {"a": "c"}]),
    "map": pa.array([[("a", "b")]] * 2, pa.map_(pa.string(), pa.string())),
    "bool": pa.array([True, False]),
    "date": pa.array([0, 1], pa.date32()),
    "not UTF-8": pa.array([b"\xff\xfe", b"g\xfc"], pa.binary()),
    "list of binary": pa.array([[b"a"], []]),
}


@pytest.mark.parametrize("kind", NO_TEXTS)
@pytest.mark.parametrize("column", ["text", "body", "answer"])
def test_columns_without_texts_are_refused_by_file_row_and_column(kind: str, column: str, tmp_path: Path) -> None:
    first = pa.nulls(1, NO_TEXTS[kind].type)
    values = pa.concat_arrays([first, NO_TEXTS[kind]])
    table = {column: values} | ({"question": pa.array(["q"] * 3)} if column == "answer" else {})
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    name = f"{tmp_path / 'x.parquet'}{'::body' if column == 'body' else ''}"
    with pytest.raises(TrainingError, match=rf"x\.parquet, row 1: {column} (is of type|holds bytes that are not UTF-8)"):
        list(examples(name))


@pytest.mark.parametrize("value", [["a"], {"a": "b"}, True, [], {}, [{"text": "a"}]], ids=repr)
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_json_values_that_are_no_texts_are_refused(value: Any, ending: str, tmp_path: Path) -> None:
    for row in ({"text": value}, {"question": "q", "answer": value}, {"conversations": [{"value": value}]}):
        path = put(
            tmp_path,
            f"x.{ending}",
            [{**dict.fromkeys(row, "a"), "conversations": []} if "conversations" in row else dict.fromkeys(row, "a"), row],
        )
        with pytest.raises(TrainingError, match=rf"x\.{ending}, row 1: \w+ is of type {type(value).__name__}, "):
            list(examples(path))


def test_nan_is_a_missing_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([float("nan"), None, 1.5])}), tmp_path / "x.parquet")
    assert [e.text for e in examples(tmp_path / "x.parquet")] == ["1.5"]
    (tmp_path / "x.jsonl").write_text('{"text": NaN}\n{"text": "gold"}\n')
    assert [e.text for e in examples(tmp_path / "x.jsonl")] == ["gold"]


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("kind", ["jsonl", "json", "txt", "lines.json"])
def test_a_byte_order_mark_is_no_part_of_the_first_example(kind: str, packed: str, tmp_path: Path) -> None:
    content = {
        "jsonl": b'{"text": "gold"}\n',
        "json": b'[{"text": "gold"}]',
        "txt": b"gold\n",
        "lines.json": b'{"text": "gold"}\n',
    }
    path = tmp_path / f"x{packed.split('.')[0]}.{kind}{'.zst' if 'zst' in packed else packed}"
    path.write_bytes(PACKED[packed](BOM + content[kind]))
    assert [e.text.strip() for e in examples(path)] == ["gold"]


def test_a_byte_order_mark_within_a_file_is_text(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("gold\n\ufeffsand\n", "utf-8")
    assert [e.text.strip() for e in examples(tmp_path / "x.txt")] == ["gold", "\ufeffsand"]


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("count", [1, 2, 5000])
def test_a_json_file_may_have_one_object_per_line(packed: str, count: int, tmp_path: Path) -> None:
    rows = [{"text": f"gold {{}} [wäsche] {n}", "url": "u", "timestamp": "t"} for n in range(count)]  # as C4's shards
    path = put(tmp_path, "c4.jsonl", rows, packed)
    moved = path.rename(path.with_name(path.name.replace(".jsonl", ".json")))
    assert [e.text for e in examples(moved)] == [row["text"] for row in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n{"text": \n', r"x\.json\.gz, line 2, is not JSON"),
        (b'{"text": "a"}\n["b"]\n', r"x\.json\.gz, row 1: expected an object with a text, found list"),
        (b'{"text": "a"}\n{"text": ["b"]}\n', r"x\.json\.gz, row 1: text is of type list, "),
        (b'{"body": "a"}\n{"body": "b"}\n', "rows with body; expected `text`"),
        (b'[{"text": "a"}', r"x\.json\.gz cannot be read"),
    ],
)
def test_broken_json_files_with_an_object_per_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(content))
    with pytest.raises(TrainingError, match=message):
        list(examples(tmp_path / "x.json.gz"))


# --- r/explainlikeimfive


def post(number: str, **more: Any) -> Row:
    plain = {"id": number, "subreddit": "explainlikeimfive", "score": 10, "title": f"ELI5: Why {number}?", "selftext": ""}
    return {**plain, **more}


def comment(to: str, body: str, score: Any = 9, **more: Any) -> Row:
    return {"link_id": f"t3_{to}", "body": body, "score": score, "subreddit": "explainlikeimfive", **more}


@pytest.fixture
def dump(tmp_path: Path) -> Callable[..., list[str]]:
    """The texts of the examples from dumps of these posts and comments."""

    def made(posts: Sequence[Row], comments: Sequence[Row], **bounds: Any) -> list[str]:
        for kind, rows in (("RS", posts), ("RC", comments)):
            (tmp_path / f"{kind}_2020-01.zst").write_bytes(
                long_window("".join(json.dumps(row) + "\n" for row in rows).encode())
            )
        return [example.text for example in eli5(tmp_path, **bounds)]

    return made


FILLER = "This one is worse."


def answered(number: str, *best: tuple[str, Any], count: int = 3) -> list[Row]:
    """Comments on a post: the given ones and fillers of score 1, ``count`` in all."""
    return [*(comment(number, b, s) for b, s in best), *(comment(number, FILLER, 1) for _ in range(count - len(best)))]


GOOD = "Because of the air in between."


@pytest.mark.parametrize(
    ("score", "taken"), [(0, True), (1, True), (-1, False), (None, False), ("many", False), (0.0, True), (float("nan"), False)]
)
def test_a_posts_score_is_not_negative(dump: Callable[..., list[str]], score: Any, taken: bool) -> None:
    assert dump([post("a", score=score)], answered("a", (GOOD, 9))) == ([f"Why a?\n\n{GOOD}"] if taken else [])


@pytest.mark.parametrize(("score", "taken"), [(5, True), (4, False), (None, False)])
def test_the_best_comment_has_at_least_five(dump: Callable[..., list[str]], score: Any, taken: bool) -> None:
    assert bool(dump([post("a")], answered("a", (GOOD, score)))) is taken


@pytest.mark.parametrize(("count", "taken"), [(3, True), (2, False)])
def test_a_post_has_at_least_three_comments(dump: Callable[..., list[str]], count: int, taken: bool) -> None:
    assert bool(dump([post("a")], answered("a", (GOOD, 9), count=count))) is taken


def test_removed_and_short_comments_count_as_comments_and_are_never_the_best(dump: Callable[..., list[str]]) -> None:
    rest = [comment("a", "[removed]", 99), comment("a", "[deleted]", 98), comment("a", "Too short", 97)]
    assert dump([post("a")], [*rest, comment("a", GOOD, 5)]) == [f"Why a?\n\n{GOOD}"]
    assert dump([post("a")], rest) == []


@pytest.mark.parametrize(
    ("comments", "best"),
    [
        ([("The best one of all.", 9), ("The longer but worse one of all.", 8)], 0),
        ([("The short of equals.", 9), ("The longer of the equal ones.", 9)], 1),
        ([("The longer of the equal ones.", 9), ("The short of equals.", 9)], 0),
        ([("The first of equals.", 9), ("The other of equals.", 9)], 0),
        ([("ninechars", 99), ("ten chars.", 5)], 1),
        ([("[removed]nine char", 99), ("ten chars.", 5)], 1),
    ],
)
def test_the_best_comment_then_the_longest_then_the_first(
    dump: Callable[..., list[str]], comments: list[tuple[str, int]], best: int
) -> None:
    assert dump([post("a")], answered("a", *comments)) == [f"Why a?\n\n{comments[best][0]}"]


def test_other_subreddits_are_left_out(dump: Callable[..., list[str]]) -> None:
    posts = [post("a"), post("b", subreddit="askscience"), post("c", subreddit="ExplainLikeImFive"), post("d", subreddit=None)]
    comments = [row for number in "abcdz" for row in answered(number, (GOOD, 9))]
    assert [text.split("\n")[0] for text in dump(posts, comments)] == ["Why a?", "Why c?"]
    assert [text.split("\n")[0] for text in dump(posts, comments, subreddit="askscience")] == ["Why b?"]


def test_ids_with_and_without_their_prefix(dump: Callable[..., list[str]]) -> None:
    comments = [{**row, "link_id": row["link_id"].removeprefix("t3_")} for row in answered("b", (GOOD, 9))]
    posts = [post("t3_a", title="Why a?"), post("b")]
    assert len(dump(posts, [*answered("a", (GOOD, 9)), *comments])) == 2


def test_other_bounds(dump: Callable[..., list[str]]) -> None:
    posts, comments = [post("a", score=2)], answered("a", (GOOD, 4), count=2)
    assert dump(posts, comments) == []
    assert len(dump(posts, comments, min_score=2, min_comment_score=4, min_comments=2)) == 1
    assert dump(posts, comments, min_score=3, min_comment_score=4, min_comments=2) == []


def put_dump(place: Path, rows: list[Row], pack: Callable[[bytes], bytes]) -> None:
    place.write_bytes(pack("".join(json.dumps(row) + "\n" for row in rows).encode()))


def test_several_dumps_of_several_packings_are_one(tmp_path: Path) -> None:
    comments = answered("old", (GOOD, 9), count=4)
    put_dump(tmp_path / "RS_2019-12.zst", [post("old")], in_frames)
    put_dump(tmp_path / "RS_2020-01.gz", [post("new")], gzip.compress)
    put_dump(tmp_path / "RC_2019-12.jsonl.zst", comments[1:3], long_window)
    put_dump(tmp_path / "RC_2020-01", [comments[0], *answered("new", (GOOD, 5))], bytes)
    (tmp_path / "RC_2020-01.zst.torrent").write_text("not read")
    read = list(examples(f"eli5:{tmp_path}"))
    assert [e.text.split("\n")[0] for e in read] == ["Why old?", "Why new?"]
    assert {(e.source, e.origin) for e in read} == {("explainlikeimfive", f"eli5:{tmp_path}")}


def test_a_subreddits_own_dumps(tmp_path: Path) -> None:
    put_dump(tmp_path / "explainlikeimfive_submissions.zst", [post("own")], long_window)
    put_dump(tmp_path / "explainlikeimfive_comments.zst", answered("own", (GOOD, 5)), long_window)
    assert [e.text.split("\n")[0] for e in examples(f"eli5:{tmp_path}")] == ["Why own?"]


def test_monthly_dumps_take_precedence_over_a_subreddits_own(tmp_path: Path) -> None:
    for month, own, rows in (("RS", "submissions", [post("a")]), ("RC", "comments", answered("a", (GOOD, 5))[:2])):
        put_dump(tmp_path / f"{month}_2020-01.zst", rows, long_window)
        put_dump(tmp_path / f"explainlikeimfive_{own}.zst", rows, long_window)
    assert list(examples(f"eli5:{tmp_path}")) == []  # two comments, not four


def test_missing_dumps_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no dump of posts: expected files such as RS_2020-01\.zst"):
        list(examples(f"eli5:{tmp_path}"))
    (tmp_path / "RS_2020-01").write_text("")
    with pytest.raises(
        TrainingError,
        match=r"has no dump of comments: expected files such as RC_2020-01\.zst, or explainlikeimfive_comments\.zst",
    ):
        list(examples(f"eli5:{tmp_path}"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (long_window(b'{"id": "a"}\n{"id": \n'), r"RS_2020-01\.zst, line 2, is not JSON"),
        (long_window(b'{"id": "a"}\n' * 9)[:-2], r"RS_2020-01\.zst cannot be read .*: fetch it again"),
        (b"no zstd", r"RS_2020-01\.zst cannot be read .*: fetch it again"),
        (zstandard.compress(b'["a"]\n'), r"RS_2020-01\.zst: expected a post or comment per line, found list"),
        (zstandard.compress(b'{"subreddit": "explainlikeimfive", "score": 1}\n'), "has no 'id'; it has subreddit, score"),
    ],
    ids=["broken line", "cut", "no zstd", "list", "no id"],
)
def test_a_broken_dump(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "RS_2020-01.zst").write_bytes(content)
    with pytest.raises(TrainingError, match=message):
        list(eli5(tmp_path))


@pytest.mark.parametrize(
    ("question", "answer", "text"),
    [
        ("ELI5: Why?", "So.", "Why?\n\nSo."),
        ("eli5:Why?", "So.", "Why?\n\nSo."),
        ("Eli5 Why?", "So.", "Why?\n\nSo."),
        ("ELI5 : Why?", "So.", "Why?\n\nSo."),
        ("Why? (ELI5)", "So.", "Why? ()\n\nSo."),
        ("Why? [removed]", "[deleted] So.", "Why?\n\nSo."),
        ("Why? more\ntext", "So.\n\nAnd so.", "Why? more\ntext\n\nSo.\n\nAnd so."),
        ("Why?", "&gt; quoted\n\nSo.", "Why?\n\nquoted\n\nSo."),
        ("Why?", "&gt quoted\n>and so\n a > b", "Why?\n\nquoted\nand so\na > b"),
        ("Why?", "=&gt; So.", "Why?\n\nSo."),
        ("Why?", "See [the sky](https://en.example.org/wiki/Sky#Blue) at noon.", "Why?\n\nSee the sky at noon."),
        ("Why?", "[a](b.com) and [c](/r/d) and [e] (f)", "Why?\n\na and c and [e] (f)"),
        ("Why?", "So https://example.org/a?b=c it is, at www.example.com", "Why?\n\nSo it is, at"),
        ("Why &amp; how?", "So.  \n  Then  ", "Why &amp; how?\n\nSo.\nThen"),
    ],
)  # fmt: skip
def test_reddits_formatting(question: str, answer: str, text: str) -> None:
    assert reddit_text(question, answer) == text


def test_title_and_text_then_the_answer(dump: Callable[..., list[str]]) -> None:
    posts = [post("a", title="ELI5: Why a?", selftext="I saw it."), post("b", selftext="[deleted]"), post("c", selftext=None)]
    comments = [row for number in "abc" for row in answered(number, (GOOD, 9))]
    assert dump(posts, comments) == [f"Why a? I saw it.\n\n{GOOD}", f"Why b?\n\n{GOOD}", f"Why c?\n\n{GOOD}"]


@pytest.mark.parametrize(
    ("key", "value"), [("title", ["Why?"]), ("selftext", {"a": 1}), ("body", ["Because of the air."]), ("body", True)]
)
def test_reddit_values_that_are_no_texts_are_refused(dump: Callable[..., list[str]], key: str, value: Any) -> None:
    comments = answered("a", (GOOD, 9))
    posts = [post("a", **({} if key == "body" else {key: value}))]
    if key == "body":
        comments.append(comment("a", value))
    with pytest.raises(TrainingError, match=rf"post a: {key} is of type {type(value).__name__}"):
        dump(posts, comments)
