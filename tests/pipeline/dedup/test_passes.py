# ruff: noqa: E501 -- tables
"""The passes that minhash and exact share, on small shards: who survives, what is told, crashes, and what cannot be read."""

import dataclasses
import hashlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.dedup import bands, plan, survivors
from goldwash.pipeline.dedup import passes as copies
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.flow import run_recipe
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Stage, Work
from goldwash.pipeline.stages import minhash
from goldwash.pipeline.stages.exact import Exact
from goldwash.pipeline.stages.minhash import MinHash, signatures_of
from goldwash.pipeline.storage import tasks as disk
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.slices import SliceWriter
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.stages.test_bloom import line
from tests.pipeline.stages.test_minhash import plain_components

A, B, C = line("a", 60), line("b", 60), line("c", 60)
NEAR_A, NEARER_A = A.replace("a30 ", "other "), A.replace("a30 ", "quite another ")
"""Copies of A with a word changed, one of them longer than A."""


@pytest.fixture
def on(tmp_path):
    """Runs a stage on shards of texts: its report, the kept rows, and the dropped ones."""

    def run(stage: Stage, shards: Sequence[Sequence[str]], columns: Sequence[dict[str, object]] = (), run: Run = here):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        each = itertools.zip_longest(shards, columns, fillvalue={})
        inputs = [shard(folder / "in" / f"{n}.parquet", texts, **more) for n, (texts, more) in enumerate(each)]
        report = stage(inputs, str(folder / "out"), run)
        return report, rows(folder / "out"), rows(folder / "out", "dropped")

    return run


def ids(found: Sequence[dict[str, object]]) -> list[object]:
    return [row["id"] for row in found]


def told(dropped: Sequence[dict[str, object]]) -> list[tuple[object, ...]]:
    return [(row["id"], row["dropped_by"], row["value"], row["detail"]) for row in dropped]


# --- who survives

KEEPS = [
    ("longest", ["0-1", "1-0", "1-2"], "copy of 1-0"),
    ("first", ["0-0", "0-1", "1-2"], "copy of 0-0"),
    ("best", ["0-1", "1-1", "1-2"], "copy of 1-1"),
]


@pytest.mark.parametrize(("keep", "kept", "copy_of"), KEEPS)
@pytest.mark.parametrize("check", [None, 0.7])
def test_the_survivor_is_the_longest_the_first_or_the_best(on, keep, kept, copy_of, check):
    stage = MinHash(keep=keep, check=check, score="worth")
    scores = [{"worth": [0.1, 0.5]}, {"worth": [0.2, 0.9, 0.3]}]
    report, found, dropped = on(stage, [[A, B], [NEARER_A, NEAR_A, C]], scores)
    assert ids(found) == kept
    survivor = copy_of.removeprefix("copy of ")
    assert [row["copy_count"] for row in found] == [3 if row["id"] == survivor else 1 for row in found]
    place = survivor.replace("-", ":")
    gone = [id_ for id_ in ("0-0", "1-0", "1-1") if id_ != survivor]
    assert told(dropped) == [(id_, "near_copy", 3.0, f"copy of {place}") for id_ in gone]
    assert report.dropped["near_copy"].documents == 2
    assert report.read.documents == 5


@pytest.mark.parametrize("keep", ["longest", "first", "best"])
@pytest.mark.parametrize("stage", [MinHash, Exact], ids=lambda stage: stage.name)
def test_of_equals_the_first_survives(on, stage, keep):
    columns = [{"quality_probability": [0.5] * 2}] * 3
    _, found, dropped = on(stage(keep=keep), [[B, A], [A, B], [A, A]], columns)
    assert ids(found) == ["0-0", "0-1"]
    assert [row["copy_count"] for row in found] == [2, 4]
    assert [row["detail"] for row in dropped] == ["copy of 0:1", "copy of 0:0", "copy of 0:1", "copy of 0:1"]


@pytest.mark.parametrize("check", [None, 0.7])
@pytest.mark.parametrize(
    ("scores", "survivor"),
    [
        ([None, float("nan"), 0.1, None], "0-2"),
        ([float("nan"), None, float("nan"), None], "0-0"),
        ([None, -1e300, float("-inf"), float("nan")], "0-1"),
        ([3, 5, 5, None], "0-1"),
    ],
)
def test_a_score_that_is_none_is_below_all(on, scores, survivor, check):
    _, found, _ = on(
        MinHash(keep="best", check=check), [[A] * 4], [{"quality_probability": pa.array(scores, from_pandas=False)}]
    )
    assert ids(found) == [survivor]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, r"0\.parquet has no column 'worth', by which stage exact shall keep the best: score .*keep=longest"),
        ({"worth": ["much"]}, r"0\.parquet, column worth: expected numbers, found string"),
    ],
)
def test_a_score_that_is_not_there(on, columns, message):
    with pytest.raises(DataError, match=message):
        on(Exact(keep="best", score="worth"), [[A]], [columns])


@pytest.mark.parametrize("check", [None, 0.7])
@pytest.mark.parametrize(
    ("shards", "kept"),
    [
        ([], []),
        ([[]], []),
        ([[], [], []], []),
        ([[""]], ["0-0"]),
        ([["", "", "..."], [], ["", "..."]], ["0-0", "0-1", "0-2", "2-0", "2-1"]),
        ([[A]], ["0-0"]),
        ([[A] * 7], ["0-0"]),
        ([[], [A, A], [], [A], [A] * 3], ["1-0"]),
        ([["", A], ["", A], [B, ""]], ["0-0", "0-1", "1-0", "2-0", "2-1"]),
        ([["one"], ["two", "One."], ["one two"]], ["0-0", "1-0", "2-0"]),
    ],
)
def test_few_documents_none_and_those_without_a_word(on, shards, kept, check):
    report, found, dropped = on(MinHash(check=check, keep="first"), shards)
    assert ids(found) == kept
    assert report.read.documents == sum(map(len, shards)) == len(found) + len(dropped)
    assert sum(row["copy_count"] for row in found) == report.read.documents


def test_a_chain_is_one_component_unless_it_is_checked(on):
    """A is near B and B near C, but C is not near A."""
    words = [f"w{n}" for n in range(100)]
    chain = [" ".join([*(f"x{n}" for n in range(k)), *words[k:]]) for k in (0, 10, 20, 30)]
    loose = {"bands": 32, "rows": 2, "keep": "first"}
    assert ids(on(MinHash(**loose), [chain])[1]) == ["0-0"]
    _, found, dropped = on(MinHash(**loose, check=0.7), [chain])
    assert ids(found) == ["0-0", "0-2"]
    assert [(row["copy_count"]) for row in found] == [2, 2]
    assert [(row["id"], row["detail"], row["value"]) for row in dropped] == [
        ("0-1", "copy of 0:0", 2),
        ("0-3", "copy of 0:2", 2),
    ]


def test_further_columns_stay_and_a_copy_count_is_made_anew(on):
    _, found, _ = on(Exact(), [[A, A]], [{"copy_count": [7, 8], "note": ["x", "y"]}])
    assert [(row["copy_count"], row["note"]) for row in found] == [(2, "x")]


@pytest.mark.parametrize("count", [130, None])
def test_signatures_can_be_read_again(tmp_path, count):
    stage = MinHash(permutations=count) if count else MinHash(bands=None, rows=None, threshold=0.8)
    stage([shard(tmp_path / "in.parquet", [A, "", NEAR_A])], str(tmp_path / "out"), here)
    table = pq.read_table(tmp_path / "out" / "keys" / "keys-00000.parquet")
    signed = signatures_of(table)
    assert signed.shape == (3, stage.layout[2])
    assert table["shingle_count"].to_pylist() == [56, 0, 56]
    assert (signed[1] == 2**32 - 1).all()
    assert 0.7 < (signed[0] == signed[2]).mean() < 1


# --- exact

DOCUMENTS = st.lists(
    st.tuples(st.sampled_from(["", " ", "gold", "Gold ", "GOLD", "wash\n it", "wash it", "sand"]), st.sampled_from("abcde")),
    max_size=6,
)  # fmt: skip


def exact_twin(documents: Sequence[tuple[str, str]], by: Sequence[str], keep: str) -> list[int]:
    found = [
        (one, other)
        for (one, (text, url)), (other, (text2, url2)) in itertools.combinations(enumerate(documents), 2)
        if ("text" in by and text.strip() and text.lower().split() == text2.lower().split()) or ("url" in by and url == url2)
    ]
    return plain_components(len(documents), found, [len(text) if keep == "longest" else 0 for text, _ in documents])


@pytest.mark.parametrize("by", [("text",), ("url",), ("text", "url")], ids="+".join)
def test_exact_copies_by_text_by_url_and_by_both(tmp_path_factory, by):
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.lists(DOCUMENTS, max_size=3), st.sampled_from(["longest", "first"]))
    def check(shards, keep):
        folder = tmp_path_factory.mktemp("exact")
        inputs = [
            shard(folder / f"{n}.parquet", [t for t, _ in s], url=[f"http://{u}.example/" for _, u in s])
            for n, s in enumerate(shards)
        ]
        Exact(by=by, keep=keep)(inputs, str(folder / "out"), here)
        names = [f"{n}-{k}" for n, s in enumerate(shards) for k in range(len(s))]
        survivors = exact_twin([document for s in shards for document in s], by, keep)
        kept = [(row["id"], row["copy_count"]) for row in rows(folder / "out")]
        assert kept == [(name, survivors.count(k)) for k, name in enumerate(names) if survivors[k] == k]
        assert [(row["id"], row["dropped_by"], row["detail"]) for row in rows(folder / "out", "dropped")] == [
            (name, "exact_copy", f"copy of {names[survivors[k]].replace('-', ':')}")
            for k, name in enumerate(names) if survivors[k] != k
        ]  # fmt: skip

    check()


def test_by_text_and_url_copies_hang_together(on):
    """The first and the last have nothing in common, and both are copies of the middle one."""
    urls = [{"url": ["https://a.example/1", "http://www.a.example/1/#top", "https://b.example/"]}]
    assert ids(on(Exact(by=("text", "url")), [[A, B, B]], urls)[1]) == ["0-0"]
    assert ids(on(Exact(by=("url",)), [[A, B, B]], urls)[1]) == ["0-0", "0-2"]
    assert ids(on(Exact(), [[A, B, B]], urls)[1]) == ["0-0", "0-1"]


def test_no_url_is_nobodys_copy(on):
    assert len(on(Exact(by=("url",)), [[A, A, A]], [{"url": ["", None, " "]}])[1]) == 3


# --- slices, parts, workers

MANY = [[A, B, "", NEAR_A], [C, NEARER_A, f"{C} z"], [], [A, line("d", 80), B, "short", "short"], [B.upper(), C]]
STAGES = {
    "minhash": MinHash(bands=6, rows=3),
    "checked": MinHash(bands=6, rows=3, check=0.7),
    "exact": Exact(by=("text", "url")),
}
PASSES = {
    "exact": ("keys", "pairs", "components", "part"),
    "minhash": ("keys", "pairs", "components", "part"),
    "checked": ("keys", "pairs", "components", "sets", "judged", "merged", "part"),
}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory) -> list[Input]:
    folder = tmp_path_factory.mktemp("crawl")
    return [shard(folder / f"{n}.parquet", texts) for n, texts in enumerate(MANY)]


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and "logs" not in p.parts]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def whole(crawl, tmp_path_factory) -> dict[str, Path]:
    """Each stage's folder, made here without any trouble."""
    made = {}
    for name, stage in STAGES.items():
        made[name] = tmp_path_factory.mktemp(name)
        stage(crawl, str(made[name]), here)
    return made


def test_what_is_whole(whole):
    for folder in whole.values():
        assert len(rows(folder)) < sum(map(len, MANY))
        assert len(rows(folder)) + len(rows(folder, "dropped")) == sum(map(len, MANY))
    assert ids(rows(whole["exact"])) == ["0-0", "0-1", "0-2", "0-3", "1-0", "1-1", "1-2", "3-1", "3-3"]
    assert ids(rows(whole["checked"])) == ["0-1", "0-2", "1-1", "1-2", "3-1", "3-3"]


@pytest.mark.parametrize("roots", [1, 4, 1 << 25])
@pytest.mark.parametrize("name", STAGES)
def test_slices_parts_groups_and_ranges_of_roots_change_nothing(name, roots, crawl, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "DOCUMENTS_A_TASK", 3)
    monkeypatch.setattr(copies, "KEYS_A_TASK", 1)
    monkeypatch.setattr(plan, "GROUPS", 2)
    monkeypatch.setattr(minhash, "DOCUMENTS_A_PART", 2)
    monkeypatch.setattr(survivors, "MERGED_DOCUMENTS", 1)
    monkeypatch.setattr(bands, "BUCKET", 1)
    monkeypatch.setattr(copies, "ROOTS", roots)
    monkeypatch.setattr(minhash, "CHUNK", 64)
    monkeypatch.setattr(minhash, "PIECE", 64)
    STAGES[name](crawl, str(tmp_path), here)
    counts = {part: len(list((tmp_path / "tasks").glob(f"{part}-*"))) for part in PASSES[name]}
    assert counts["pairs"] == 5 * len(STAGES[name].key_columns)
    assert counts.get("judged", 5) >= 4
    markers = [json.loads(file.read_text()) for file in (tmp_path / "tasks").glob("judged-*")]
    assert sum(facts["rows"] > 0 for marker in markers for facts in marker["files"].values()) > 1 or name != "checked"
    assert (tmp_path / "merged").exists() == (name == "checked" or roots < 15)
    for below in ("", "dropped"):
        assert rows(tmp_path, below) == rows(whole[name], below)
    assert {k: v for k, v in digests(tmp_path).items() if "part-" in k} == {
        k: v for k, v in digests(whole[name]).items() if "part-" in k
    }  # fmt: skip


@pytest.mark.parametrize(("keys", "tasks"), [(1, 6), (27, 6), (28, 3), (56, 2), (83, 2), (84, 1), (1000, 1)])
def test_bands_of_a_small_run_are_paired_together(keys, tasks, crawl, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "KEYS_A_TASK", keys)
    assert sum(map(len, MANY)) == 14
    STAGES["minhash"](crawl, str(tmp_path), here)
    assert len(list((tmp_path / "tasks").glob("pairs-*"))) == tasks
    assert rows(tmp_path) == rows(whole["minhash"])


def test_a_document_is_compared_with_so_many_and_no_more(on, monkeypatch):
    """The third is near the second, which is no longer looked at."""
    monkeypatch.setattr(minhash, "MOST_COMPARED", 1)
    words = [f"w{n}" for n in range(100)]
    chain = [" ".join([*(f"x{n}" for n in range(k)), *words[k:]]) for k in (0, 15, 20)]
    assert len(on(MinHash(bands=32, rows=2, check=0.8, keep="first"), [chain])[1]) == 3
    monkeypatch.setattr(minhash, "MOST_COMPARED", 2)
    assert len(on(MinHash(bands=32, rows=2, check=0.8, keep="first"), [chain])[1]) == 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["checked", "exact"])
def test_any_number_of_workers_makes_the_same_bytes(name, workers, crawl, whole, tmp_path):
    STAGES[name](crawl, str(tmp_path), local(workers))
    assert digests(tmp_path) == digests(whole[name])


@pytest.mark.parametrize("name", ["checked", "exact"])
def test_a_store_gets_the_same_bytes(name, crawl, whole):
    """Slices are then read by ranged requests."""
    out = f"memory://copies-{name}"
    STAGES[name](crawl, out, here)
    store = fsspec.filesystem("memory")
    files = {path.split(f"copies-{name}/")[1]: store.cat_file(path) for path in store.find(f"/copies-{name}")}
    store.rm(f"/copies-{name}", recursive=True)
    assert {file: hashlib.sha256(data).hexdigest() for file, data in files.items()} == digests(whole[name])


# --- crashes

EVERY_PASS = [(name, part) for name in ("checked", "exact") for part in PASSES[name]]


@pytest.mark.parametrize("lost", ["marker", "output"])
@pytest.mark.parametrize(("name", "part"), EVERY_PASS)
def test_what_a_pass_has_lost_is_made_again(name, part, lost, crawl, whole, tmp_path):
    shutil.copytree(whole[name], tmp_path / "out")
    ending = "parquet" if part in ("keys", "pairs", "part") else "slices"
    output = f"{part}-00000.parquet" if part == "part" else f"{part}/{part}-00000.{ending}"
    (tmp_path / "out" / (output if lost == "output" else f"tasks/{part}-00000.json")).unlink()
    STAGES[name](crawl, str(tmp_path / "out"), here)
    assert digests(tmp_path / "out") == digests(whole[name])


def crash(monkeypatch: pytest.MonkeyPatch, part: str, moment: str, act: Callable[[], None]) -> None:
    """Let a task of this pass meet its end in the middle of its writing, or when all but its marker is written."""
    index = 1 if part in ("keys", "part") else 0
    write, write_sealed, end = TaskOutput.write, disk.write_sealed, SliceWriter.end

    def writing(self: TaskOutput, name: str, table: pa.Table) -> None:
        write(self, name, table)
        if moment == "writing" and (self.task.part, self.task.index) == (part, index):
            act()

    def ending(self: SliceWriter) -> None:
        end(self)
        if moment == "writing" and self.location.endswith(f"/{part}/{part}-{index:05d}.slices"):
            act()

    def marking(location: str, value: object, **options: Any) -> None:
        if moment == "marking" and location.endswith(f"tasks/{part}-{index:05d}.json"):
            act()
        write_sealed(location, value, **options)

    monkeypatch.setattr(TaskOutput, "write", writing)
    monkeypatch.setattr(SliceWriter, "end", ending)
    monkeypatch.setattr(disk, "write_sealed", marking)


def fail() -> None:
    raise OSError("the lights went out")


@pytest.mark.parametrize("moment", ["writing", "marking"])
@pytest.mark.parametrize(("name", "part"), EVERY_PASS)
def test_a_pass_that_fails_is_taken_up_where_it_was(name, part, moment, crawl, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        crash(patched, part, moment, fail)
        with pytest.raises(OSError, match="the lights went out"):
            STAGES[name](crawl, str(tmp_path), here)
    assert not list(tmp_path.rglob(".half-*"))
    assert not (tmp_path / "report.json").exists()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "tasks").iterdir()}
    assert {p.name.split("-")[0] for p in before} <= set(PASSES[name][: PASSES[name].index(part) + 1])
    STAGES[name](crawl, str(tmp_path), here)
    assert digests(tmp_path) == digests(whole[name])
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.parametrize("part", PASSES["checked"])
def test_a_pass_that_is_killed_is_taken_up_where_it_was(part, crawl, whole, tmp_path, monkeypatch):
    crash(monkeypatch, part, "writing", lambda: os.kill(os.getpid(), signal.SIGKILL))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        STAGES["checked"](crawl, str(tmp_path), here)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert list(tmp_path.rglob(".half-*"))
    monkeypatch.undo()
    STAGES["checked"](crawl, str(tmp_path), here)
    assert digests(tmp_path) == digests(whole["checked"])


# --- what cannot be used


def meddled(before: str, act: Callable[[], object]) -> Run:
    """Runs passes here, and does something before one of them."""

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        if work.__name__ == before:
            act()
        return here(work, tasks)

    return run


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


MISSING = [
    ("pair_band", "bands/bands-00001.slices", "a pass has not run"),
    ("join_components", "bands/bands-00001.slices", "a pass has not run"),
    ("join_components", "pairs/pairs-00000.parquet", "a pass has not run"),
    ("collect_sets", "components/components-00001.slices", "a pass has not run"),
    ("judge_part", "sets/sets-00001.slices", "a pass has not run"),
    ("merge_survivors", "judged/judged-00000.slices", "a pass has not run"),
    ("cut_shard", "merged/merged-00001.slices", "a pass has not run"),
    ("cut_shard", "keys/keys-00003.parquet", "a pass has not run"),
]


@pytest.mark.parametrize(("before", "file", "message"), MISSING)
def test_a_pass_that_is_missing_or_cut_off_is_named(before, file, message, crawl, tmp_path):
    for act, told in ((Path.unlink, f"is missing: {message}"), (cut_off, "is not (what it was|a whole Parquet file)")):
        out = tmp_path / act.__name__
        with pytest.raises(DataError, match=rf"{file} {told}.* run again"):
            STAGES["checked"](crawl, str(out), meddled(before, lambda act=act, out=out: act(out / file)))
        (out / file).unlink(missing_ok=True)
        STAGES["checked"](crawl, str(out), here)


def test_components_that_are_missing_are_named_without_a_check(crawl, tmp_path):
    file = tmp_path / "components" / "components-00000.slices"
    with pytest.raises(DataError, match=r"components-00000\.slices is missing"):
        STAGES["minhash"](crawl, str(tmp_path), meddled("cut_shard", file.unlink))


@pytest.mark.parametrize(
    "other", [MinHash(bands=6, rows=3, ngram=4), MinHash(bands=6, rows=3, seed=2), MinHash(bands=6, rows=3, permutations=20), Exact()]
)  # fmt: skip
def test_keys_of_other_parameters_are_refused(other, crawl, tmp_path):
    other(crawl, str(tmp_path / "other"), here)
    taken = [tmp_path / name / "keys" / "keys-00000.parquet" for name in ("other", "out")]
    with pytest.raises(DataError, match=r"keys-00000\.parquet holds keys of other parameters .* delete it and run again"):
        STAGES["minhash"](crawl, str(tmp_path / "out"), meddled("cut_shard", lambda: shutil.copy(*taken)))


def test_keys_of_another_shard_are_refused(crawl, tmp_path):
    keys = [tmp_path / "keys" / f"keys-0000{n}.parquet" for n in (0, 1)]
    with pytest.raises(DataError, match=r"keys-00001\.parquet has 4 documents, and had 3 when it was made: delete it and run"):
        STAGES["minhash"](crawl, str(tmp_path), meddled("cut_shard", lambda: shutil.copy(*keys)))


def test_bands_of_another_group_are_refused(crawl, tmp_path):
    bands = [tmp_path / "bands" / f"bands-0000{n}.slices" for n in (0, 1)]
    with pytest.raises(DataError, match=r"bands-00001\.slices is not what it was .*run again"):
        STAGES["minhash"](crawl, str(tmp_path), meddled("pair_band", lambda: shutil.copy(*bands)))


@pytest.mark.parametrize("name", ["minhash", "checked"])
@pytest.mark.parametrize("before", ["pair_band", "collect_sets", "cut_shard"])
@pytest.mark.parametrize(
    ("texts", "stem", "message"),
    [
        ([A, B], "0", "0.parquet has 2 documents, and had 3 when its keys were made"),
        ([], "0", "0.parquet has 0 documents, and had 3 when its keys were made"),
        ([A, B, A, A], "0", "0.parquet is not what it was when its keys were made"),
        ([A, B, A], "1", "0.parquet is not what it was when its keys were made"),
    ],
)
def test_a_shard_that_changed_between_passes_is_refused(name, before, texts, stem, message, tmp_path):
    inputs = [shard(tmp_path / f"{n}.parquet", [A, B, A]) for n in (0, 1)]
    shard(tmp_path / "changed" / f"{stem}.parquet", texts)
    changed = meddled(before, lambda: shutil.copy(tmp_path / "changed" / f"{stem}.parquet", inputs[0].path))
    if (name, before) == ("minhash", "collect_sets"):
        return
    with pytest.raises(DataError, match=message):
        STAGES[name](inputs, str(tmp_path / "out"), changed)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"bands": None}, r"give bands and rows, or a threshold \(bands None, rows 8, threshold None; write `bands: null, rows: null`"),
        ({"rows": None}, "give bands and rows, or a threshold"),
        ({"bands": None, "rows": None}, "give bands and rows, or a threshold"),
        ({"threshold": 0.8}, r"give bands and rows, or a threshold \(bands 14, rows 8, threshold 0.8"),
        ({"ngram": 0}, "ngram is 0; expected 1 or more"),
        ({"bands": 0}, "bands is 0; expected 1 or more"),
        ({"rows": -1}, "rows is -1; expected 1 or more"),
        ({"permutations": 1}, "permutations is 1; expected 2 or more"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"seed": 2**32}, "seed is 4294967296; expected less than 2 to the 32nd"),
        ({"check": 0}, "check is 0; expected more than 0 and up to 1"),
        ({"check": 1.5}, "check is 1.5; expected more than 0 and up to 1"),
        ({"bands": None, "rows": None, "threshold": 0}, "threshold is 0; expected more than 0 and up to 1"),
        ({"bands": None, "rows": None, "threshold": 1.1}, "threshold is 1.1; expected more than 0 and up to 1"),
        ({"permutations": 111}, "14 bands of 8 rows need 112 permutations, and there are 111"),
        ({"bands": None, "rows": None, "threshold": 1.0}, r"no bands of 128 permutations fit a threshold of 1.0 .*: give more permutations"),
        ({"bands": None, "rows": None, "threshold": 0.9, "permutations": 4}, "no bands of 4 permutations fit a threshold of 0.9"),
        ({"keep": "shortest"}, "keep is 'shortest'; expected one of 'longest', 'first', 'best'"),
        ({"score": ""}, "score is empty; expected a column's name"),
        ({"treshold": 0.8}, "no parameter 'treshold': did you mean 'threshold'"),
        ({"bands": 2.5}, "bands is 2.5; expected"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be(config, message):
    with pytest.raises(RecipeError, match=message):
        MinHash.of(config)


CHANGES = [
    (MinHash, {"ngram": 4}, {"bands": 13}, {"rows": 7}, {"bands": None, "rows": None, "threshold": 0.8}, {"permutations": 128},
     {"seed": 2}, {"check": 0.7}, {"keep": "first"}, {"score": "worth"}, {"max_text_bytes": 10}, {"copy_text": False}),
    (Exact, {"by": ["url"]}, {"keep": "first"}, {"score": "worth"}, {"max_text_bytes": 10}, {"copy_text": False}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes"), [(kind, changes) for kind, *changes in CHANGES])
def test_every_parameter_moves_the_identity_and_the_config_makes_the_stage_again(kind, changes):
    assert {key for change in changes for key in change} == {field.name for field in dataclasses.fields(kind)}
    stages = [kind.of(change) for change in ({}, *changes)]
    assert len({stage.fingerprint([]) for stage in stages}) == len(stages)
    assert [kind.of(stage.config()) for stage in stages] == stages


@pytest.mark.parametrize("by", [[], ["texts"], ["text", "id"]])
def test_exact_by_what_it_does_not_know(by):
    with pytest.raises(RecipeError, match=r"stage exact: by is \[.*\]; expected a list of text, url or both"):
        Exact.of({"by": by})


def test_bands_from_a_threshold_need_no_more_than_the_permutations():
    for count in (16, 100, 128, 256):
        bands, rows_, permutations = MinHash(bands=None, rows=None, threshold=0.75, permutations=count).layout
        assert (permutations, bands * rows_ <= count) == (count, True)
    assert MinHash(bands=None, rows=None, threshold=0.75).layout[2] == 128
    assert MinHash().layout == (14, 8, 112)


# --- what is told


def test_explain_tells_what_stands_for_a_document_and_how_many_it_stands_for(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shard(tmp_path / "in" / "a.parquet", [A, A, NEARER_A, B])
    (tmp_path / "mine.yaml").write_text(
        "stages:\n  - heuristics: {steps: [{keep: word_count, min: 1}]}\n  - exact: {}\n  - minhash: {check: 0.7}\n"
    )
    run_recipe(load("mine.yaml"), ["in"], "run", here)
    printed = {n: cli("explain", "run", f"a-{n}")[1] for n in range(4)}
    assert "exact: kept" in printed[0]
    assert "minhash: dropped by near_copy" in printed[0]
    assert "one is kept: a-2 https://a.example/a-2" in printed[0]
    assert "exact: dropped by exact_copy" in printed[1]
    assert "one is kept: a-0 https://a.example/a-0" in printed[1]
    for n, counts in ((2, (1, 2)), (3, (1, 1))):
        found = [line.split() for line in printed[n].splitlines() if "copy_count" in line]
        assert [int(words[2]) for words in found] == list(counts)
    next(tmp_path.glob("run/03-*/keys/keys-00000.parquet")).unlink()
    code, _, error = cli("explain", "run", "a-0")
    assert code == 1
    assert "keys-00000.parquet is missing" in error


def test_explain_a_page_of_the_sample_that_is_a_near_copy(cli, sample_run):
    folder = next(sample_run.glob("03-minhash-*"))
    gone = rows(folder, "dropped")[0]
    code, printed, _ = cli("explain", sample_run, gone["url"])
    assert code == 0
    assert "minhash: dropped by near_copy" in printed
    number, row = map(int, str(gone["detail"]).removeprefix("copy of ").split(":"))
    survivor = pq.read_table(folder / "keys" / f"keys-{number:05d}.parquet", columns=["id", "url"]).slice(row, 1).to_pylist()[0]
    assert f"one is kept: {survivor['id']} {survivor['url']}" in " ".join(printed.split())
    assert survivor["id"] in ids(rows(folder))
    assert "bloom" not in printed
