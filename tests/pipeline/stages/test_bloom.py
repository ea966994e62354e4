# ruff: noqa: E501 -- tables

import logging
import random
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.bloom import Pass, Sizing, false_positives, ngram_count, run_pass, sizing, tokens_of, walk
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages import bloom
from goldwash.pipeline.stages.bloom import AHEAD, Bloom
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.storage.batches import BATCH_BYTES
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import read_json
from goldwash.pipeline.storage.source import Reading
from goldwash.pipeline.threads import processors_per_task
from tests import reference
from tests.pipeline.conftest import here, rows, shard
from tests.support import perfect_set

ROOMY = sizing(10_000, 1e-4)
"""For texts of a few hundred n-grams: no false positive is to be expected."""


def ours(documents: list[str], parameters: Pass) -> list[perfect_set.Fate]:
    texts = Texts.of(documents)
    o = run_pass(texts, tokens_of(texts, parameters), ROOMY.empty(), ROOMY.bits_per_ngram, parameters)
    columns = (o.dropped.tolist(), list(o.texts), o.contained.tolist(), o.total.tolist(), o.removed_lines.tolist())
    return [perfect_set.Fate(*values) for values in zip(*columns, strict=True)]


def line(name: str, count: int = 20) -> str:
    return " ".join(f"{name}{n}" for n in range(count))


A, B, C = line("a"), line("b"), line("c")
DROPPED = None

GOLDEN = {
    "1 the same again": ([f"{A}\n{B}", f"{A}\n{B}"], [f"{A}\n{B}", DROPPED], [(0, 16), (16, 16)]),
    "2 half of it": ([f"{A}\n{B}", f"{A}\n{C}"], [f"{A}\n{B}", f"\n{C}"], [(0, 16), (8, 16)]),
    "3 a line twice": ([f"{A}\n{A}\n{B}"], [f"{A}\n{B}"], [(8, 24)]),
    "4 a line six times": (["\n".join([A] * 6 + [B])], [f"{A}\n{B}"], [(40, 56)]),
    "5 short lines": (["\n".join(line(n, 5) for n in "abc")] * 2, ["\n".join(line(n, 5) for n in "abc")] * 2, [(0, 0)] * 2),
    "6 thirteen tokens": ([line("a", 13)] * 2, [line("a", 13), DROPPED], [(0, 1), (1, 1)]),
    "7 twelve tokens": ([line("a", 12)] * 2, [line("a", 12)] * 2, [(0, 0)] * 2),
    "8a two more words": ([A, f"{A} z1 z2"], [A, f"{A} z1 z2"], [(0, 8), (8, 10)]),
    "8b one more word": ([A, f"{A} z1"], [A, DROPPED], [(0, 8), (8, 9)]),
}


@pytest.mark.parametrize(("documents", "left", "counts"), GOLDEN.values(), ids=GOLDEN)
def test_golden_cases(documents, left, counts):
    for fates in (ours(documents, Pass()), perfect_set.run(documents, Pass())):
        assert [DROPPED if fate.dropped else fate.text for fate in fates] == left
        assert [(fate.contained, fate.total) for fate in fates] == counts


def test_short_documents_are_taken_whole():
    short = "\n".join(line(n, 5) for n in "abc")
    fates = ours([short, short, line("a", 12), line("a", 12), "", ""], Pass(short_documents=True))
    assert [fate.dropped for fate in fates] == [False, True, False, True, False, False]


WORDS = st.sampled_from(["a", "b", "c", "d", "don't", "3.5", "é", ".", "--", "中文"])
LINES = st.lists(WORDS, max_size=7).map(" ".join)
DOCUMENTS = st.lists(st.lists(LINES, max_size=4).map("\n".join), max_size=8)
PASSES = st.builds(
    lambda mode, low, more, threshold, short: Pass(mode, low, low + more, threshold, short),
    st.sampled_from(["both", "lines", "documents"]), st.integers(1, 3), st.integers(0, 2), st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
    st.booleans(),
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(DOCUMENTS, PASSES)
def test_the_filter_agrees_with_a_perfect_set(documents, parameters):
    assert ours(documents, parameters) == perfect_set.run(documents, parameters)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(DOCUMENTS, PASSES)
def test_the_filter_is_sized_for_every_ngram_that_is_looked_at(documents, parameters):
    assert ngram_count(Texts.of(documents), parameters) == sum(fate.total for fate in perfect_set.run(documents, parameters))


ODD = st.sampled_from([
    "a", "5", " ", "  ", "\n", "\r\n", "\r", "'", ".", ",", ":", "_", "-", '"', "é", "\u0301", "\u200d", "\u3000", "א", "中", "🇩", "ア",
    "x" * 62, "- " * 31, "word " * 13,
])  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.lists(ODD, max_size=12).map("".join), max_size=4), PASSES)
def test_ngrams_are_counted_without_cutting_every_token(documents, parameters):
    """Marks that join, and the edges of 64 bytes: counts are those of tokens that are cut."""
    expected = sum(fate.total for fate in perfect_set.run(documents, parameters))
    assert ngram_count(Texts.of(documents), parameters) == expected


# --- the filter


def walked(hashes, sizes, filter_, size, threshold, together=False):
    """How many n-grams of one token each document has seen before: one per unit, or all units ``together`` in one document."""
    tokens = np.concatenate([[0], np.cumsum(sizes)])
    units, documents = (np.array([0, len(sizes)]), tokens[[0, -1]]) if together else (np.arange(len(sizes) + 1), tokens)
    return walk(units, tokens, documents, hashes, filter_, size.bits_per_ngram, 1, 1, threshold, 0, False)[2]


@pytest.mark.parametrize("together", [False, True], ids=["documents of a unit", "one document"])
@pytest.mark.parametrize("promise", [0.5, 0.01, 1e-9])
@pytest.mark.parametrize("blocks", [1, 3, 1000])
def test_the_filters_bits_are_those_of_its_definition(promise, blocks, together):
    """Up to 256 n-grams are drawn together, of one unit or of several."""
    bits = sizing(1000, promise).bits_per_ngram
    sizes = np.array([0, 1, 255, 256, 257, 3, 0, 252, 1, 1, 511, 512, 513, 2, 100, 100, 100, 0])
    hashes = np.random.default_rng(blocks).integers(0, 2**64, int(sizes.sum()), np.uint64)
    hashes[-40:] = hashes[:40]
    size = Sizing(blocks, bits)
    filter_, expected, had, at = size.empty(), np.zeros(blocks * 8, np.uint64), [], 0
    assert filter_.ctypes.data % 64 == 0
    found = walked(hashes, sizes, filter_, size, 1.0, together)
    for n in sizes.tolist():
        masks = [reference.bloom_mask(int(h), blocks, bits) for h in hashes[at : at + n]]
        had.append(sum(all(int(expected[word]) & mask == mask for word, mask in own.items()) for own in masks))
        for own in masks:
            for word, mask in own.items():
                expected[word] |= np.uint64(mask)
        at += n
    assert found.tolist() == ([sum(had)] if together else had)
    assert np.array_equal(filter_, expected)


@pytest.mark.parametrize("promise", [0.1, 0.01, 0.001])
def test_the_false_positive_rate_is_the_promised_one(promise):
    count, looks = 20_000, 50_000
    size = sizing(count, promise)
    filter_ = size.empty()
    hashes = np.random.default_rng(7).integers(0, 2**64, count + looks, np.uint64)
    learn, look = 1.0, -1.0  # thresholds by which nothing is removed, and everything
    walked(hashes[:count], np.ones(count, np.int64), filter_, size, learn)
    assert walked(hashes[:2000], np.ones(2000, np.int64), filter_, size, look).all()
    found = int(walked(hashes[count:], np.ones(looks, np.int64), filter_, size, look).sum())
    expected = promise * looks
    assert found <= expected + 4 * expected**0.5
    assert found >= expected / 3, "the filter is far larger than its promise asks for"


@pytest.mark.parametrize("promise", [0.9, 0.5, 0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9])
def test_sizing_keeps_the_promise_and_grows_with_the_ngrams(promise):
    sizes = [sizing(n, promise) for n in (1, 10, 100, 1000, 10_000, 10**6, 10**9)]
    assert [s.blocks for s in sizes] == sorted(s.blocks for s in sizes)
    for ngrams, size in zip((10**4, 10**6, 10**9), (sizes[4], sizes[5], sizes[6]), strict=True):
        assert false_positives(ngrams, size.blocks, size.bits_per_ngram) <= promise


def test_sizing_grows_with_the_promise_and_is_near_the_classic_one():
    blocks = [sizing(10**6, promise).blocks for promise in (0.1, 0.01, 0.001, 0.0001)]
    assert blocks == sorted(blocks)
    assert 1.199e9 <= sizing(10**9, 0.01).bytes <= 1.4e9
    assert Sizing(3, 5).empty().nbytes == Sizing(3, 5).bytes == 192


@pytest.mark.parametrize("rate", [0, 1, -0.5, 2, 1e-10])
def test_a_rate_that_is_none(rate):
    with pytest.raises(ValueError, match="expected 1e-09 or more and less than 1"):
        sizing(10, rate)


# --- the stage

NUMBERED = [[f"{line(f'd{s}x{n}x')}\n{A}" for n in range(3)] for s in range(4)]


def run_on(tmp_path, shards, **parameters):
    inputs = [shard(tmp_path / "in" / f"{n}.parquet", texts) for n, texts in enumerate(shards)]
    report = Bloom(**parameters)(inputs, str(tmp_path / "out"), here)
    return report, rows(tmp_path / "out"), rows(tmp_path / "out", "dropped")


def test_documents_are_filtered_over_shards_in_their_order(tmp_path):
    report, kept, dropped = run_on(tmp_path, [["", f"{A}\n{B}"], [f"{A}\n{C}", f"{B}\n{A}", A]])
    assert [(row["id"], row["text"], row["removed_line_count"]) for row in kept] == [
        ("0-0", "", 0), ("0-1", f"{A}\n{B}", 0), ("1-0", f"\n{C}", 1)
    ]  # fmt: skip
    assert [(row["id"], row["dropped_by"], row["value"]) for row in dropped] == [
        ("1-1", "contained_fraction", 1.0), ("1-2", "contained_fraction", 1.0)
    ]  # fmt: skip
    assert [(row["contained_ngram_count"], row["ngram_count"]) for row in kept] == [(0, 0), (0, 16), (8, 16)]
    assert report.read.documents == 5
    assert report.edited["duplicate_lines"].bytes == len(A)
    assert report.notes == {"removed_lines": 1}


def test_a_document_without_a_line_left_is_dropped(tmp_path):
    _, kept, dropped = run_on(tmp_path, [[A, f"{A}\n ", B]], mode="lines")
    assert [row["text"] for row in kept] == [A, B]
    assert [(row["dropped_by"], row["value"]) for row in dropped] == [("no_line_left", 1.0)]


def test_groups_know_nothing_of_each_other(tmp_path):
    copies = [[A], [A], [A], [A], [B]]
    _, kept, _ = run_on(tmp_path, copies, groups=2)
    assert [row["id"] for row in kept] == ["0-0", "1-0", "4-0"]


def test_steps_side_by_side_write_the_same_files(tmp_path):
    """Shards of many batches, of none, and with a text that is larger than what may be read ahead."""
    chance = random.Random(1)
    lines = [line(f"w{n}", 200) for n in range(300)]
    texts = (
        [["\n".join(chance.sample(lines, 40)) for _ in range(60)] for _ in range(3)] + [[]] + [["\n".join(lines * 18), A, A]]
    )
    inputs = [shard(tmp_path / f"in/{n}.parquet", held) for n, held in enumerate(texts)]
    assert sum(map(len, texts[0])) > 3 * BATCH_BYTES
    assert len(texts[4][0]) > 1.5 * AHEAD
    found = []
    for processors in (1, 3):
        with processors_per_task(processors):
            report = Bloom()(inputs, str(tmp_path / str(processors)), here)
        files = sorted(p for p in (tmp_path / str(processors)).rglob("*.parquet"))
        found.append((report, [p.name for p in files], [p.read_bytes() for p in files]))
    assert found[0] == found[1]
    assert len(found[0][1]) == 10
    assert found[0][0].dropped["contained_fraction"].documents > 10


@pytest.mark.parametrize("processors", [1, 3])
@pytest.mark.parametrize("where", ["cutting", "filtering", "writing"])
def test_an_error_of_one_step_ends_the_task_and_leaves_nothing(tmp_path, monkeypatch, where, processors):
    """Whatever the other steps are doing: each shard has several batches."""
    texts = [[line(f"w{s}x{n}x", 2000) for n in range(200)] for s in range(3)]
    inputs = [shard(tmp_path / f"in/{n}.parquet", held) for n, held in enumerate(texts)]
    stage, out, calls, before = Bloom(), tmp_path / "out", [], set(threading.enumerate())

    def failing(function):
        def fails(*arguments):
            calls.append(where)
            if len(calls) == 4:
                raise DataError(f"no more {where}")
            return function(*arguments)

        return fails

    name = {"cutting": "tokens_of", "filtering": "run_pass", "writing": "_divided"}[where]
    monkeypatch.setattr(bloom, name, failing(getattr(bloom, name)))
    with processors_per_task(processors), pytest.raises(DataError, match=f"no more {where}"):
        stage(inputs, str(out), here)
    assert set(threading.enumerate()) == before
    assert not list(out.glob("part-*"))
    assert not list(out.glob("tasks/group-*"))
    assert not list(out.rglob(".half-*"))


@pytest.mark.parametrize("processors", [1, 3])
def test_null_texts_are_dropped_in_the_order_of_the_shard(tmp_path, processors):
    texts = [f"{A}\n{B}", None, f"{A}\n{B}", *[line(f"w{n}", 20_000) for n in range(20)], None]
    source = replace(shard(tmp_path / "in.parquet", texts), reading=Reading(on_null="drop"))
    with processors_per_task(processors):
        Bloom()([source], str(tmp_path / "out"), here)
    assert [(row["id"], row["dropped_by"]) for row in rows(tmp_path / "out", "dropped")] == [
        ("in-1", "null_text"), ("in-2", "contained_fraction"), ("in-23", "null_text")
    ]  # fmt: skip


COUNTED = {"steps": [{"column": "ngram_count", "as": "n", "short_documents": True}]}


@pytest.mark.parametrize("groups", [1, 2])
def test_a_column_of_counts_takes_the_place_of_the_counting_pass(tmp_path, groups):
    shards = [[f"{A}\n{B}", "short", ""], [A, line("c", 13), f"{B} é 中文"], []]
    for n, texts in enumerate(shards):
        shard(tmp_path / "in" / f"{n}.parquet", texts)
    run_stage(Heuristics.of(COUNTED), find_shards([str(tmp_path / "in")]), str(tmp_path / "counted"), here)
    found = find_shards([str(tmp_path / "counted")])
    counted = Bloom(groups=groups, short_documents=True, count_column="n")(found, str(tmp_path / "out"), here)
    plain = find_shards([str(tmp_path / "in")])
    assert counted == Bloom(groups=groups, short_documents=True)(plain, str(tmp_path / "plain"), here)
    assert rows(tmp_path / "out") == rows(tmp_path / "plain")
    assert rows(tmp_path / "out", "dropped") == rows(tmp_path / "plain", "dropped")
    sizes = [read_json(str(tmp_path / name / "report.json"))["facts"] for name in ("out", "plain")]
    assert [size["ngrams"] for size in sizes] == [sizes[0]["ngrams"]] * 2
    assert sizes[0]["largest_filter_bytes"] == sizes[1]["largest_filter_bytes"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([9, 16], r"has 9 n-grams for 0-0, which has 8"),
        ([8.0, 3.0], r"has 3 n-grams for 0-1, which has 16"),
        ([8.5, 16], "has values that are no counts"),
        ([-8, 16], "has values that are no counts"),
        ([8, None], "has values that are no counts"),
        (["8", "16"], "has a column of string"),
        (None, "has no column n"),
    ],
)
def test_counts_of_something_else_are_refused(tmp_path, values, told):
    columns = {"n": values} if values else {}
    inputs = [shard(tmp_path / "in" / "0.parquet", [A, f"{B}\n{C}"], **columns)]
    with pytest.raises(
        DataError, match=f"0.parquet {told}.*expected the counts of a step .column: ngram_count, min_n: 13.*count_column=null"
    ):
        Bloom(count_column="n")(inputs, str(tmp_path / "out"), here)
    assert not list((tmp_path / "out").glob("part-*"))


def test_more_groups_than_shards(tmp_path):
    _, kept, _ = run_on(tmp_path, [[A], [A]], groups=7)
    assert len(kept) == 2


def test_each_group_of_a_stage_does_what_a_pass_over_its_shards_does(tmp_path):
    _, kept, _ = run_on(tmp_path, NUMBERED, groups=2)
    expected = {}
    for group in range(2):
        texts = [(f"{s}-{n}", text) for s in range(group, 4, 2) for n, text in enumerate(NUMBERED[s])]
        fates = perfect_set.run([text for _, text in texts], Pass())
        expected |= {id_: fate.text for (id_, _), fate in zip(texts, fates, strict=True) if not fate.dropped}
    assert {row["id"]: row["text"] for row in kept} == expected


def test_no_input_gives_no_output(tmp_path):
    report, kept, dropped = run_on(tmp_path, [])
    assert (report.read.documents, kept, dropped) == (0, [], [])


@pytest.mark.parametrize(
    ("shards", "memory", "cure"),
    [(8, 10_000, r"give groups=\d"), (1, 1000, r"cut the input into at least \d+ shards and give groups=")],
)
def test_a_filter_that_memory_cannot_hold_is_refused_with_the_cure(tmp_path, monkeypatch, shards, memory, cure):
    monkeypatch.setattr(bloom, "available_memory", lambda: memory)
    texts = [" ".join(f"w{n}" for n in range(2000))]
    with pytest.raises(DataError, match=rf"a Bloom filter for [\d,]+ n-grams takes .* GB of memory are available: {cure}"):
        run_on(tmp_path, [texts] * shards)


def test_a_filter_that_fits_or_a_machine_that_does_not_say(tmp_path, monkeypatch):
    for memory in (1_000_000, None):
        monkeypatch.setattr(bloom, "available_memory", lambda memory=memory: memory)
        assert len(run_on(tmp_path / str(memory), [[A], [B]])[1]) == 2


def test_a_filter_that_cannot_be_addressed_is_refused_before_it_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(bloom, "MOST_BLOCKS", 3)
    with pytest.raises(RecipeError, match=r"expected at most 0 GB: give groups=\d+ or more"):
        run_on(tmp_path, [[" ".join(f"w{n}" for n in range(2000))]])


def test_a_text_that_is_too_large_is_dropped_and_counted(tmp_path):
    report, kept, dropped = run_on(tmp_path, [[A, A + " " * 500, B]], max_text_bytes=len(A) + 100)
    assert [row["text"] for row in kept] == [A, B]
    assert [(row["dropped_by"], row["value"]) for row in dropped] == [("too_large", len(A) + 500)]
    assert (report.dropped["too_large"].documents, report.dropped["too_large"].bytes) == (1, len(A) + 500)


def test_the_memory_is_told_before_it_is_taken(tmp_path):
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logger = logging.getLogger("goldwash")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        run = lambda work, tasks: told.append(work.__name__) or here(work, tasks)  # noqa: E731
        Bloom()([shard(tmp_path / "in.parquet", [A, B])], str(tmp_path / "out"), run)
    finally:
        logger.removeHandler(handler)
    assert [told[0], told[2]] == ["count_shard", "filter_group"]
    assert told[1].startswith("bloom: 16 n-grams in 1 group; a worker takes 0.00 MB")
