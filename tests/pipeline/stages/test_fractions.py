"""What top fractions would keep, held against the stage that really keeps them."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goldwash.classifiers import scorers
from goldwash.pipeline.inspect.what_if import Fractions, Top, top_fractions
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages.quality import Quality
from goldwash.pipeline.stages.score import Score
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import here, rows, shard

NAN = float("nan")
FRACTIONS = [0.05, 0.1, 0.2, 1 / 3, 0.5, 1.0]
DOCUMENT = st.tuples(
    st.sampled_from([0.0, 0.25, 0.5, 0.5000001, 0.9, -0.00001, 1.00001, NAN]), st.integers(10, 60), st.integers(0, 9)
)
"""A document's score, bytes and tokens."""


def scored(monkeypatch):
    def columns(self, texts, table):
        return {self.score: pa.array(np.array([float(t.split()[0]) for t in texts], np.float32))}

    monkeypatch.setattr(scorers.ModelScorer, "columns", columns)


def put(folder, parts):
    """Shards of these documents: a text is its score, padded to its size."""
    return [
        shard(
            folder / f"{n}.parquet", [f"{s!r} ".ljust(size, ".") for s, size, _ in part],
            token_count=pa.array([tokens for *_, tokens in part], pa.int64()),
            quality_probability=pa.array([s for s, *_ in part], pa.float32()),
        )
        for n, part in enumerate(parts)
    ]  # fmt: skip


def kept(inputs, out, model, **parameters) -> tuple[float, int, int]:
    """What the stage keeps: its threshold, documents and bytes."""
    report = Quality.of({"model": str(model), **parameters})(inputs, str(out), here)
    return json.loads((out / "report.json").read_text())["facts"]["threshold"], report.kept.documents, report.kept.bytes


@pytest.mark.parametrize("by", ["documents", "bytes", "token_count"])
def test_what_if_says_what_the_stage_keeps(by, tmp_path_factory, monkeypatch, model):
    scored(monkeypatch)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(st.lists(st.lists(DOCUMENT, max_size=12), min_size=1, max_size=3))
    @example([[(0.5, 20, 1)] * 100])
    @example([[(0.9, 20, 0), (0.5, 20, 0)], [(1.00001, 20, 0)]])
    @example([[(NAN, 20, 3)], []])
    def check(parts):
        folder = tmp_path_factory.mktemp("fractions")
        inputs = put(folder / "in", parts)
        runs = [kept(inputs, folder / str(fraction), model, fraction=fraction, by=by) for fraction in FRACTIONS]
        everything = sum(i for part in parts for *_, i in [(0, len(f"{s!r} ".ljust(size, "."))) for s, size, _ in part])
        for name in (folder / "0.1", folder / "in"):  # from what the stage wrote, with another fraction; from scored shards
            found = top_fractions([str(name)], FRACTIONS, "quality_probability", by)
            assert (found.documents, found.bytes) == (sum(map(len, parts)), everything)
            for top, (threshold, documents, bytes_) in zip(found.tops, runs, strict=True):
                assert (top.documents, top.bytes) == (documents, bytes_)
                assert top.threshold == threshold or not documents

    check()


def test_a_folder_tells_of_other_weights_than_its_own(tmp_path, monkeypatch, model):
    scored(monkeypatch)
    inputs = put(tmp_path / "in", [[(0.9, 50, 1), (0.5, 20, 9), (0.25, 30, 1)]])
    kept(inputs, tmp_path / "out", model, fraction=0.5, by="token_count")
    assert [t.documents for t in top_fractions([str(tmp_path / "out")], [0.5], "", "documents").tops] == [2]
    assert [t.documents for t in top_fractions([str(tmp_path / "out")], [0.5], "", "bytes").tops] == [1]
    assert [t.documents for t in top_fractions([str(tmp_path / "out")], [0.5], "", "token_count").tops] == [2]
    with pytest.raises(DataError, match="weighed documents by token_count, not by words"):
        top_fractions([str(tmp_path / "out")], [0.5], "", "words")


def test_several_folders_and_files_are_one_and_fractions_are_sorted(tmp_path):
    put(tmp_path / "a", [[(0.9, 20, 1)], [(0.5, 30, 1)]])
    put(tmp_path / "b", [[(0.7, 40, 1), (0.1, 50, 1)]])
    names = [str(tmp_path / "a"), str(tmp_path / "b" / "0.parquet")]
    assert top_fractions(names, [1.0, 0.5, 0.25], "quality_probability") == Fractions(
        4,
        140,
        [
            Top(0.25, pytest.approx(0.9), 1, 20),
            Top(0.5, pytest.approx(0.7), 2, 60),
            Top(1.0, pytest.approx(0.1), 4, 140),
        ],
    )


def test_any_column_of_numbers_can_be_the_score(tmp_path):
    shard(tmp_path / "a.parquet", ["one", "three", "seven"], stars=[5, 1, 3], half=[0.5, None, 0.25])
    assert top_fractions([str(tmp_path / "a.parquet")], [0.5], "stars").tops == [Top(0.5, 3.0, 2, 8)]
    assert top_fractions([str(tmp_path / "a.parquet")], [0.5], "half").tops == [Top(0.5, 0.5, 1, 3)]


def test_columns_that_the_stage_score_wrote(tmp_path, model):
    texts = ["Why is the sky blue? Because of the air.", "buy now", "click here to buy", "The river flows to the sea."]
    inputs = [shard(tmp_path / "in" / f"{n}.parquet", texts[n::2]) for n in range(2)]
    Score.of({"models": {"worth": str(model)}})(inputs, str(tmp_path / "scored"), here)
    (top,) = top_fractions([str(tmp_path / "scored")], [0.3], "worth_probability").tops
    assert (top.threshold, top.documents, top.bytes) == kept(inputs, tmp_path / "out", model, fraction=0.3)
    assert sorted(row["worth_probability"] for row in rows(tmp_path / "scored"))[-2] == top.threshold


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, NAN])
def test_fractions_that_cannot_be(fraction, tmp_path):
    put(tmp_path, [[(0.5, 20, 1)]])
    with pytest.raises(RecipeError, match=rf"--fraction {fraction}: expected a number above 0 and up to 1"):
        top_fractions([str(tmp_path)], [0.1, fraction], "quality_probability")


@pytest.mark.parametrize(
    ("column", "by", "message"),
    [
        ("qality", "documents", r"a\.parquet has no column 'qality'; it has id, url, text"),
        ("score", "tokens", r"a\.parquet has no column 'tokens'"),
        ("url", "documents", r"a\.parquet, column url: expected numbers, found string"),
        ("score", "below", r"a\.parquet, column below: expected whole numbers from 0 on"),
        ("score", "halves", r"a\.parquet, column halves: expected whole numbers .* found double"),
        ("score", "gaps", r"a\.parquet, column gaps: expected whole numbers .* without nulls"),
    ],
)
def test_columns_that_cannot_be(column, by, message, tmp_path):
    shard(tmp_path / "a.parquet", ["x", "y"], score=[0.5, 0.1], below=[1, -1], halves=[0.5, 1.0], gaps=[1, None])
    with pytest.raises(DataError, match=message):
        top_fractions([str(tmp_path)], [0.5], column, by)


# --- the command


def told(printed) -> dict[float, tuple[float, int]]:
    """Fractions, with the threshold and the documents that are printed of each."""
    lines = [line.split() for line in printed.splitlines()[1:] if line.strip() and not line.startswith("of ")]
    return {float(line[0]): (float(line[1]), int(line[2].replace(",", ""))) for line in lines}


def test_the_command_answers_without_another_pass(cli, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    texts = [f"{'Why is the sky blue? ' * (k % 5)}buy now {k} {'click here ' * (k % 7)}" for k in range(60)]
    for n in range(2):
        shard(tmp_path / "in" / f"{n}.parquet", texts[n::2], token_count=[len(t.split()) for t in texts[n::2]])
    words = ["stage", "quality", "--input", "in", "--workers", "1", "--set", f"model={model}"]
    for by in ("documents", "token_count"):
        assert cli(*words, "--out", by, "--set", f"by={by}")[0] == 0
        code, printed, _ = cli("what-if", by, "--fraction", "0.05", "0.1", "0.2", "--by", by)
        assert code == 0
        found = told(printed)
        assert list(found) == [0.05, 0.1, 0.2]
        assert f"of 60 documents, {sum(map(len, texts)) / 1e3:.1f} KB".split(",")[0] in printed
        assert f"by {by}" in printed
        for fraction, (threshold, documents) in found.items():
            out = f"{by}-{fraction}"
            assert cli(*words, "--out", out, "--set", f"by={by}", "--set", f"fraction={fraction}")[0] == 0
            report = json.loads((tmp_path / out / "report.json").read_text())
            assert report["report"]["kept"]["documents"] == documents == len(rows(tmp_path / out))
            assert report["facts"]["threshold"] == pytest.approx(threshold, rel=1e-6)


def test_bounds_and_fractions_are_two_questions(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "in", [[(0.5, 20, 1)]])
    code, _, error = cli("what-if", "in", "--keep", "quality_probability.min=0.1", "--fraction", "0.5")
    assert code == 1
    assert "give --keep or --fraction, not both" in error
    code, printed, _ = cli("what-if", "in", "--fraction", "0.5", "--column", "quality_probability")
    assert code == 0
    assert told(printed) == {0.5: (0.5, 1)}
    code, _, error = cli("what-if", "in", "--fraction", "2")
    assert code == 1
    assert "--fraction 2.0: expected a number above 0" in error
