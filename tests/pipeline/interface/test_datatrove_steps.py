"""goldwash's steps in real datatrove pipelines decide what goldwash's stages decide."""

import gzip
import json
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from datatrove.pipeline.writers import JsonlWriter

import goldwash
from goldwash.datatrove import Clean, Decontaminate, MinHashSignatures, Score
from goldwash.pipeline.decontamination.benchmarks import items_of
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.failures import DataError

Row = dict[str, Any]


@pytest.fixture(scope="module")
def documents(sample_run: Path) -> pa.Table:
    (folder,) = sample_run.glob("01-extract-*")
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("part-*.parquet"))])


@pytest.fixture(scope="module")
def jsonl(documents: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documents in two files, as datatrove writes them."""
    folder = tmp_path_factory.mktemp("jsonl")
    rows = documents.select(["id", "url", "date", "text"]).to_pylist()
    for number, some in enumerate((rows[: len(rows) // 2], rows[len(rows) // 2 :])):
        with gzip.open(folder / f"{number:05d}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in some)
    return folder


def written(folder: Path) -> list[Row]:
    """What a JsonlWriter wrote, in the order of ranks."""
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl.gz")) for line in gzip.open(file, "rt", encoding="utf-8")]


def pipeline(folder: Path, *steps: Any, tasks: int = 2, workers: int = 1) -> list[Any]:
    """Run a pipeline with datatrove's own executor; its statistics, step by step."""
    executor = LocalPipelineExecutor(
        pipeline=list(steps), tasks=tasks, workers=workers, logging_dir=str(folder / "logs"), start_method="forkserver"
    )
    return list(executor.run().stats)


@pytest.mark.parametrize("workers", [1, 2])
def test_clean_decides_what_the_stage_decides(workers, documents, jsonl, tmp_path) -> None:
    stats = pipeline(
        tmp_path,
        JsonlReader(str(jsonl)),
        Clean("sample", exclusion_writer=JsonlWriter(str(tmp_path / "dropped"))),
        JsonlWriter(str(tmp_path / "kept")),
        workers=workers,
    )
    expected = goldwash.apply("heuristics", documents, recipe="sample")
    kept = written(tmp_path / "kept")
    assert [(row["id"], row["text"]) for row in kept] == list(
        zip(expected.kept["id"].to_pylist(), expected.kept["text"].to_pylist(), strict=True)
    )
    assert [row["metadata"]["language"] for row in kept] == expected.kept["language"].to_pylist()
    assert all(row["metadata"]["url"] and row["metadata"]["date"] for row in kept), "metadata stay"
    gone = {
        row["id"]: (row["metadata"]["filter_reason"], row["metadata"].get("filter_value"))
        for row in written(tmp_path / "dropped")
    }
    assert gone == {r["id"]: (r["dropped_by"], r["value"]) for r in expected.dropped.to_pylist()}
    counts = {name: int(value.total) for name, value in stats[1].stats.items()}
    assert counts["total"] == documents.num_rows == counts["forwarded"] + counts["dropped"]
    assert {k.removeprefix("dropped_"): v for k, v in counts.items() if k.startswith("dropped_")} == {
        rule: count.documents for rule, count in expected.report.dropped.items()
    }


def test_parquet_in_scores_out(documents, model, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(documents.select(["id", "url", "text"]), tmp_path / "in" / "a.parquet")
    models = {"quality": str(model), "language": "lid.176.ftz", "size": "signal:character_count"}
    pipeline(tmp_path, ParquetReader(str(tmp_path / "in")), Score(models), JsonlWriter(str(tmp_path / "out")), tasks=1)
    expected = goldwash.apply("score", documents, recipe=None, models=models).kept
    out = written(tmp_path / "out")
    for name in ("quality_probability", "language", "language_probability", "size"):
        assert [row["metadata"][name] for row in out] == expected[name].to_pylist(), name


@pytest.mark.parametrize("action", ["drop", "delete", "annotate"])
def test_decontaminate_does_what_the_stage_does(action, documents, jsonl, tmp_path) -> None:
    dropped = JsonlWriter(str(tmp_path / "dropped"))
    step = Decontaminate("sample", exclusion_writer=dropped, action=action)
    pipeline(tmp_path, JsonlReader(str(jsonl)), step, JsonlWriter(str(tmp_path / "kept")))
    expected = goldwash.decontaminate(documents, "sample", action=action)
    kept = written(tmp_path / "kept")
    assert [row["id"] for row in kept] == expected.kept["id"].to_pylist()
    assert [row["text"] for row in kept] == expected.kept["text"].to_pylist()
    assert {row["id"] for row in written(tmp_path / "dropped")} == {r["id"] for r in expected.dropped.to_pylist()}
    if action == "annotate":
        assert [row["metadata"]["benchmark_item_count"] for row in kept] == expected.kept["benchmark_item_count"].to_pylist()
    if action == "drop":
        assert len(expected.dropped), "the sample has contaminated pages"


def test_signatures_go_through_datatroves_deduplication(documents, jsonl, tmp_path) -> None:
    """What datatrove's three other steps make of the signatures is what the stage makes of the same documents, pair by pair."""
    sign = MinHashSignatures(str(tmp_path / "signatures"))
    pipeline(tmp_path / "1", JsonlReader(str(jsonl)), sign)
    bands, _, _ = sign.stage.layout
    assert sign.config.num_buckets == bands
    pairs = MinhashDedupBuckets(str(tmp_path / "signatures"), str(tmp_path / "buckets"), config=sign.config)
    pipeline(tmp_path / "2", pairs, tasks=bands)
    cluster = MinhashDedupCluster(str(tmp_path / "buckets"), str(tmp_path / "remove"), config=sign.config)
    pipeline(tmp_path / "3", cluster, tasks=1)
    pipeline(
        tmp_path / "4",
        JsonlReader(str(jsonl)),
        MinhashDedupFilter(str(tmp_path / "remove")),
        JsonlWriter(str(tmp_path / "kept")),
    )
    theirs = [row["id"] for row in written(tmp_path / "kept")]
    ours = goldwash.near_duplicates(documents, recipe=None, keep="first")
    assert len(theirs) == len(ours.kept) < documents.num_rows
    ids = documents["id"].to_pylist()
    group = {ids[row]: kept for row, kept in enumerate(ours.copy_of.tolist())}
    assert Counter(group[i] for i in theirs) == Counter(ours.kept.tolist()), "one of each of our components, and no other"


def test_signatures_are_those_of_datasketch(tmp_path) -> None:
    import numpy as np
    from datasketch import MinHash

    from goldwash.pipeline.dedup.minhash import shingle_hash

    step = MinHashSignatures(str(tmp_path), bands=2, rows=3)
    text = "one two three four five six"
    assert list(step.run(iter([Document(text="", id="a"), Document(text=text, id="b")]))) == []
    words = text.split()
    theirs = MinHash(num_perm=6, scheme="affine32", hashfunc=shingle_hash)
    for k in range(len(words) - 4):
        theirs.update(" ".join(words[k : k + 5]).encode())
    for band in range(2):
        record = np.fromfile(tmp_path / f"bucket_{band:03d}" / "00000.minhash.sig", "<u4")
        assert record.tolist() == [*theirs.hashvalues[3 * band : 3 * band + 3].tolist(), 1]


def here(step: Any, documents: list[Document]) -> list[Document]:
    return list(step.run(iter(documents)))


def test_documents_come_one_by_one_and_batches_are_bounded() -> None:
    taken = 0

    def endless() -> Iterator[Document]:
        nonlocal taken
        while True:
            taken += 1
            yield Document(text="gold " * 1000, id=str(taken))

    step = Clean(None, steps=[{"keep": "word_count", "min": 2}])
    first = next(iter(step.run(endless())))
    assert first.id == "1"
    assert taken <= 300, "a megabyte of text is read ahead, no more"
    assert [d.id for d in here(step, [Document(text="a b", id=str(n)) for n in range(12_000)])] == [
        str(n) for n in range(12_000)
    ]


def test_rules_see_the_url_and_other_metadata() -> None:
    steps = [
        {"keep": "url_word_count", "phrases": ["bad"], "max": 0},
        {"keep": "column", "name": "worth", "min": 0.5},
    ]
    made = [
        Document(text="one", id="1", metadata={"url": "https://bad.example/", "worth": 1.0}),
        Document(text="two", id="2", metadata={"url": "https://good.example/", "worth": 0.1}),
        Document(text="three", id="3", metadata={"worth": 0.9, "odd": [1, "two"]}),
    ]
    step = Clean(None, steps=steps)
    kept = here(step, made)
    assert [(d.id, d.text, d.metadata) for d in kept] == [("3", "three", {"worth": 0.9, "odd": [1, "two"]})]
    assert step.stats.stats["dropped_url_word_count"].total == 1
    assert "filter_reason" not in made[0].metadata, "only an exclusion writer is told, as in datatrove"


def test_a_step_can_be_pickled_before_and_after_it_has_run(tmp_path) -> None:
    step = Clean(None, JsonlWriter(str(tmp_path)), steps=[{"keep": "word_count", "min": 2}])
    assert [d.id for d in here(pickle.loads(pickle.dumps(step)), [Document(text="a b", id="1")])] == ["1"]
    here(step, [Document(text="a b", id="1")])
    assert "stage" not in pickle.loads(pickle.dumps(step)).__dict__


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Clean("smaple"), RecipeError, "no recipe is called 'smaple'"),
        (lambda: Clean(None, steps=[{"keep": "word_counts", "min": 1}]), RecipeError, "did you mean 'word_count'"),
        (lambda: Clean(annotate=True), RecipeError, "drops documents: annotate with"),
        (lambda: Decontaminate("sample", max_documents=3), RecipeError, "max_documents needs a pass over all documents first"),
        (lambda: list(Clean("gopher").run(None)), ValueError, "Clean needs documents: put a reader before it"),
        (
            lambda: here(Clean("gopher"), [Document(text="ok", id="1"), Document(text=None, id="b")]),
            DataError,
            "document 'b': is",
        ),
        (lambda: here(Clean("gopher"), [Document(text="\ud800", id="b")]), DataError, "document 'b': cannot be UTF-8"),
    ],
)
def test_errors_say_what_was_expected(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


def test_an_item_is_found() -> None:
    item = next(iter(items_of("sample")))
    quoting = f"It is said: {item.question} {' '.join(item.options)}"
    kept = here(Decontaminate("sample"), [Document(text="other", id="1"), Document(text=quoting, id="2")])
    assert [d.id for d in kept] == ["1"]
