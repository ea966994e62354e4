"""The stage semdedup: against brute force over all pairs of a cluster, on engines, after crashes, and with bad input."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from goldwash.classifiers.embeddings import embedding
from goldwash.classifiers.model_file import ModelError
from goldwash.pipeline.dedup.clusters import nearest, quantised
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages import semdedup
from goldwash.pipeline.stages.semdedup import SemDeDup, evenly, pieces
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import here, rows, shard
from tests.support.embeddings import write_embedding

RANDOM = np.random.RandomState(0)
WORDS = {f"w{n}": RANDOM.standard_normal(12).tolist() for n in range(40)}
SHARDS = [
    [" ".join(RANDOM.choice(list(WORDS)[first : first + 12], 8)) for first in RANDOM.randint(0, 28, count)]
    for count in (30, 0, 45, 1, 24)
]
SHARDS[0][7] = SHARDS[0][3]  # equal texts of a shard, and of two
SHARDS[2][5] = SHARDS[4][2] = SHARDS[0][3]
SHARDS[2][9], SHARDS[4][0] = "", "unknown words alone"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_embedding(tmp_path_factory.mktemp("embedding"), WORDS))


@pytest.fixture
def inputs(tmp_path):
    return [shard(tmp_path / "in" / f"{n}.parquet", texts) for n, texts in enumerate(SHARDS)]


def plain_cosine(one, other):
    dot = sum(int(a) * int(b) for a, b in zip(one, other, strict=True))
    size = sum(int(a) ** 2 for a in one) * sum(int(b) ** 2 for b in other)
    return dot / math.sqrt(size)


def brute_force(place, keep, centroids):
    """Each document's similarity and nearest earlier document, by loops over all pairs of its cluster."""
    texts = [text for texts in SHARDS for text in texts]
    vectors = quantised(embedding(place).embed(texts))
    known = [n for n, v in enumerate(vectors) if v.any()]
    home = {n: int(nearest(vectors[[n]], centroids)[0][0]) for n in known}
    near = {n: plain_cosine(vectors[n], centroids[home[n]]) for n in known}
    order = {"far": lambda n: near[n], "near": lambda n: -near[n], "longest": lambda n: -len(texts[n]), "first": lambda n: 0}[
        keep
    ]
    ranked = sorted(known, key=lambda n: (order(n), n))
    found = {n: (-1.0, -1) for n in range(len(texts))}
    for place_, n in enumerate(ranked):
        earlier = [(plain_cosine(vectors[n], vectors[m]), m) for m in ranked[:place_] if home[m] == home[n]]
        if earlier:
            most = max(value for value, _ in earlier)
            found[n] = most, next(m for value, m in earlier if value == most)
    return found


def centroids_of(folder):
    column = pq.read_table(folder / "centroids" / "centroids-00000.parquet")["vector"].to_pylist()
    return np.array([np.frombuffer(value, np.int8) for value in column])


def number_of(id_):
    shard_, row = map(int, id_.split("-"))
    return sum(map(len, SHARDS[:shard_])) + row


@pytest.mark.parametrize("keep", ["far", "near", "longest", "first"])
@pytest.mark.parametrize("change", [{"fraction": 0.6}, {"fraction": None, "similarity": 0.97}, {"fraction": 1.0}])
def test_brute_force(place, inputs, tmp_path, keep, change):
    stage = SemDeDup.of({"embedding": place, "clusters": 4, "keep": keep, **change})
    report = stage(inputs, str(tmp_path / "out"), here)
    wanted = brute_force(place, keep, centroids_of(tmp_path / "out"))
    assert len(centroids_of(tmp_path / "out")) == 4
    if stage.similarity is not None:
        gone = {n for n, (value, _) in wanted.items() if value >= stage.similarity}
    else:
        level = {n: math.floor((value + 1) * (1 << 15)) for n, (value, _) in wanted.items()}
        kept = sorted(wanted, key=lambda n: (level[n], n))[: math.ceil(len(wanted) * stage.fraction)]
        gone = set(wanted) - set(kept)
    found, dropped = rows(tmp_path / "out"), rows(tmp_path / "out", "dropped")
    assert {number_of(row["id"]) for row in dropped} == gone
    assert [number_of(row["id"]) for row in found] == [n for n in sorted(wanted) if n not in gone]
    for row in found:
        value, other = wanted[number_of(row["id"])]
        assert row["nearest_similarity"] == (None if other < 0 else pytest.approx(value, abs=1e-7))
    for row in dropped:
        value, other = wanted[number_of(row["id"])]
        shard_, place_ = row["detail"].removeprefix("near ").split(":")
        assert (row["dropped_by"], row["value"], number_of(f"{shard_}-{place_}")) == ("semantic_copy", value, other)
    assert report.read.documents == 100
    assert report.read.documents == report.kept.documents + len(gone)


def test_equal_texts_are_copies_and_texts_without_words_are_not(place, inputs, tmp_path):
    SemDeDup.of({"embedding": place, "fraction": None, "similarity": 1.0})(inputs, str(tmp_path / "out"), here)
    dropped = rows(tmp_path / "out", "dropped")
    equal = {"0-3", "0-7", "2-5", "4-2"}
    assert len(equal & {row["id"] for row in dropped}) == 3
    assert {"2-9", "4-0"} <= {row["id"] for row in rows(tmp_path / "out")}


def content(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix in (".parquet", ".json") and "tasks" not in file.parts and "logs" not in file.parts
    }


def test_workers_crashes_and_the_size_of_ranges_do_not_move_a_byte(place, inputs, tmp_path, monkeypatch):
    stage = SemDeDup.of({"embedding": place, "clusters": 3, "fraction": 0.5})
    stage(inputs, str(tmp_path / "one"), here)
    stage(inputs, str(tmp_path / "two"), local(2))
    shards = lambda folder: {k: v for k, v in content(folder).items() if k.startswith(("part-", "dropped/"))}  # noqa: E731
    assert content(tmp_path / "one") == content(tmp_path / "two")

    calls = 0

    def crashing(work, tasks):
        nonlocal calls
        for task in tasks:
            calls += 1
            if calls == dies:
                raise KeyboardInterrupt
            here(work, [task])
        return here(work, tasks)

    for dies in (2, 6, 7, 8, 9, 10, 12):
        calls, out = 0, tmp_path / f"crash{dies}"
        with pytest.raises(KeyboardInterrupt):
            stage(inputs, str(out), crashing)
        stage(inputs, str(out), here)
        assert content(out) == content(tmp_path / "one")
    monkeypatch.setattr(semdedup, "MERGED_DOCUMENTS", 40)
    monkeypatch.setattr(semdedup, "DOCUMENTS_A_PART", 30)
    monkeypatch.setattr(semdedup, "GROUP_ROWS", 4)
    stage(inputs, str(tmp_path / "small"), here)
    assert len(list((tmp_path / "small" / "merged").glob("*"))) == 3
    assert len(list((tmp_path / "small" / "near").glob("*"))) == 4
    assert shards(tmp_path / "small") == shards(tmp_path / "one")


def test_shards_do_not_matter_where_the_sample_holds_all(place, inputs, tmp_path):
    whole = [shard(tmp_path / "whole" / "0.parquet", [text for texts in SHARDS for text in texts])]
    stage = SemDeDup.of({"embedding": place, "clusters": 4, "fraction": 0.7})
    stage(inputs, str(tmp_path / "one"), here)
    stage(whole, str(tmp_path / "two"), here)
    assert [row["text"] for row in rows(tmp_path / "one")] == [row["text"] for row in rows(tmp_path / "two")]


@pytest.mark.parametrize("shards", [[], [[]], [[], []], [[""]], [["w1"]], [["w1"] * 7], [["", "?"], ["w1 w2"]]])
@pytest.mark.parametrize("change", [{"fraction": 0.5}, {"fraction": None, "similarity": 0.9}])
def test_few_documents(place, tmp_path, shards, change):
    inputs = [shard(tmp_path / "in" / f"{n}.parquet", texts) for n, texts in enumerate(shards)]
    report = SemDeDup.of({"embedding": place, **change})(inputs, str(tmp_path / "out"), here)
    count = sum(map(len, shards))
    assert report.read.documents == count
    if stage_fraction := change.get("fraction"):
        assert report.kept.documents == math.ceil(stage_fraction * count)
    elif shards == [["w1"] * 7]:
        assert report.kept.documents == 1
    else:
        assert report.kept.documents == count


def test_a_large_cluster_is_cut_by_the_cosine_and_counted(place, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(semdedup, "LARGEST_CLUSTER", 10)
    cosine = np.array([0.5, 0.1, 0.5, 0.9, 0.2, 0.3] * 4)
    piece, cut = pieces(np.zeros(24, np.int64), cosine, np.arange(24))
    assert cut == 1
    assert np.bincount(piece).max() <= 10
    assert (np.diff(piece[np.lexsort((np.arange(24), cosine))]) >= 0).all()
    stage = SemDeDup.of({"embedding": place, "clusters": 2, "fraction": None, "similarity": 1.0})
    stage(inputs, str(tmp_path / "out"), here)
    assert len(rows(tmp_path / "out", "dropped")) >= 3 - 1  # equal texts have equal cosines: at most one cut divides them


@pytest.mark.parametrize(("count", "most"), [(0, 5), (3, 5), (5, 5), (7, 5), (1000, 64)])
def test_a_sample_is_evenly_spaced(count, most):
    found = evenly(count, most)
    assert len(found) == len(set(found.tolist())) == min(count, most)
    assert all(0 <= n < count for n in found)
    gaps = np.diff(found)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"fraction": None}, "give fraction or similarity, not both"),
        ({"similarity": 0.9}, "give fraction or similarity, not both"),
        ({"fraction": 0.0}, "fraction is 0.0; expected a number above 0"),
        ({"fraction": None, "similarity": 1.1}, "similarity is 1.1; expected a cosine above 0 and up to 1"),
        ({"clusters": 0}, "clusters is 0; expected 1 or more"),
        ({"rounds": -1}, "rounds is -1; expected 0 or more"),
        ({"seed": 1 << 32}, "seed is 4294967296; expected less than"),
        ({"embedding": ""}, "embedding is empty"),
    ],
)
def test_parameters_that_cannot_be(config, message):
    with pytest.raises(RecipeError, match=message):
        SemDeDup.of(config)


def test_an_embedding_that_does_not_exist(tmp_path):
    with pytest.raises(ModelError, match=r"no such embedding: expected wordllama, .*or a folder with model\.safetensors"):
        SemDeDup.of({"embedding": str(tmp_path / "none")}).preflight()


@pytest.mark.parametrize("folder", ["vectors", "centroids", "assigned", "near", "merged"])
@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_a_pass_file_that_is_missing_or_changed(place, inputs, tmp_path, folder, fault):
    stage = SemDeDup.of({"embedding": place, "clusters": 2})

    def breaking(work, tasks):
        file = next(iter(sorted((tmp_path / "out" / folder).glob("*.parquet"))), None)
        if file is not None and tasks and tasks[0].part != folder:
            if fault == "missing":
                file.unlink()
            else:
                data, chunk = bytearray(file.read_bytes()), pq.read_metadata(file).row_group(0)
                last = chunk.column(chunk.num_columns - 1)
                data[_start(last) + last.total_compressed_size - 2] = data[_start(last) + last.total_compressed_size - 3] ^ 0x55
                file.write_bytes(data)
        return here(work, tasks)

    with pytest.raises((DataError, OSError)) as raised:
        stage(inputs, str(tmp_path / "out"), breaking)
    assert folder in str(raised.value)


def _start(column):
    """Where a column chunk begins: with its dictionary, if it has one."""
    return column.dictionary_page_offset or column.data_page_offset


def test_explain_names_the_near_document(place, inputs, tmp_path):
    stage = SemDeDup.of({"embedding": place, "keep": "first", "fraction": None, "similarity": 1.0})
    stage(inputs, str(tmp_path / "out"), here)
    row = next(row for row in rows(tmp_path / "out", "dropped") if row["id"] == "0-7")
    ((rule, value, bounds, passed),) = stage.explain(str(tmp_path / "out"), {**row, row["dropped_by"]: row["value"]})
    assert (rule, value, passed) == ("semantic_copy", 1.0, False)
    assert bounds == "the nearest earlier one: 0-3 https://a.example/0-3"


def test_explain_of_a_document_that_is_near_no_other(place, tmp_path):
    inputs = [shard(tmp_path / "in" / "0.parquet", ["w1", "unknown", "", "other"])]
    stage = SemDeDup.of({"embedding": place, "fraction": 0.5})
    stage(inputs, str(tmp_path / "out"), here)
    for row in (found := rows(tmp_path / "out", "dropped")):
        ((rule, value, bounds, passed),) = stage.explain(str(tmp_path / "out"), {**row, row["dropped_by"]: row["value"]})
        assert (rule, value, passed) == ("semantic_copy", -1.0, False)
        assert bounds == "no earlier document is near; beyond the fraction of 0.5"
    assert [row["detail"] for row in found] == [None, None]
