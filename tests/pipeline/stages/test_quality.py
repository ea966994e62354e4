import json
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goldwash.classifiers import scorers
from goldwash.classifiers.fasttext import ModelError
from goldwash.filters.signals import SignalError
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Report
from goldwash.pipeline.stages.quality import KINDS, Quality, _bin_of, _histogram, _merged, ordered_keys, value_of
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import here, rows, shard

FLOATS = st.floats(width=32, allow_nan=False)


VALUES = {
    "f": FLOATS,
    "d": st.floats(allow_nan=False),
    "i": st.integers(-(2**63), 2**63 - 1),
    "u": st.integers(0, 2**64 - 1),
}
EXTREMES = [-0.0, 0.0, 1e-45, -1e-45, 1.0, -1.0, float("inf"), float("-inf"), 3.4e38]


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_keys_have_the_order_of_the_scores(kind, data):
    scores = data.draw(st.lists(VALUES[kind], min_size=1, max_size=50)) + ([] if kind in "iu" else EXTREMES)
    column = pa.array([*scores, None, scores[0]], KINDS[kind])
    keys, known = ordered_keys(column)
    assert known.tolist() == [True] * len(scores) + [False, True]
    held = column.to_pylist()
    for (a, k), (b, m) in pairwise(zip(held[: len(scores)], keys.tolist(), strict=False)):
        assert (a < b) <= (k < m)
        assert (a > b) <= (k > m)
    assert keys[-1] == keys[0]
    back = [value_of(int(k), kind) for k in keys[: len(scores)]]
    assert [str(v) for v in back] == [str(v) for v in held[: len(scores)]]


def test_nan_and_null_have_no_key():
    assert ordered_keys(pa.array([float("nan"), None, 0.5], pa.float32(), from_pandas=False))[1].tolist() == [
        False,
        False,
        True,
    ]
    assert ordered_keys(pa.array([], pa.float64()))[0].tolist() == []


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5000001, -2.0, 1e-40]) | FLOATS, max_size=20), min_size=1, max_size=4),
    st.data(),
)
def test_merged_histograms_find_what_a_partition_finds(shards, data):
    together = np.array([s for scores in shards for s in scores], np.float32)
    if not len(together):
        return
    wanted = data.draw(st.integers(1, len(together)))
    bits = [ordered_keys(pa.array(scores, pa.float32()))[0] for scores in shards]
    ones = [np.ones(len(b), np.int64) for b in bits]
    high, above = _bin_of(_merged([_histogram(b >> 16, o) for b, o in zip(bits, ones, strict=True)]), wanted, 0)
    inside = [b[b >> 16 == high] & np.uint32(0xFFFF) for b in bits]
    low, _ = _bin_of(_merged([_histogram(b, np.ones(len(b), np.int64)) for b in inside]), wanted - above, 0)
    expected = np.partition(ordered_keys(pa.array(together))[0], len(together) - wanted)[len(together) - wanted]
    assert (high << 16) | low == expected


# --- the stage, with scores that a test names


@pytest.fixture
def stage_on(tmp_path_factory, monkeypatch, model):
    """Run the stage on shards of scores (a text is its score and padding): its report, what is kept, and the rest."""

    def columns(self, texts, table):
        return {self.score: pa.array(np.array([float(t.split()[0]) for t in texts], np.float32))}

    monkeypatch.setattr(scorers.ModelScorer, "columns", columns)

    def run(
        shards: list[list[float]], sizes: dict[float, int] | None = None, columns=None, **parameters
    ) -> tuple[Report, list[str], list[str], Path]:
        folder = tmp_path_factory.mktemp("quality")
        texts = [[f"{np.float32(s)!s} ".ljust((sizes or {}).get(s, 30)) for s in scores] for scores in shards]
        inputs = [
            shard(folder / "in" / f"{n}.parquet", t, **{name: parts[n] for name, parts in (columns or {}).items()})
            for n, t in enumerate(texts)
        ]
        report = Quality.of({"model": str(model), **parameters})(inputs, str(folder / "out"), here)
        kept, dropped = rows(folder / "out"), rows(folder / "out", "dropped")
        return report, [r["id"] for r in kept], [r["id"] for r in dropped], folder / "out"

    return run


SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.5000001, 0.9, -1.0, 1e-40])
FRACTIONS = st.sampled_from([0.01, 0.07, 0.1, 0.2, 1 / 3, 0.5, 0.7, 0.9, 1.0])


def report_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())


def best(shards: list[list[float]], count: int) -> list[str]:
    """The ids of the highest scores; of equal ones those that come first."""
    ranked = sorted((-float(np.float32(s)), n, i) for n, scores in enumerate(shards) for i, s in enumerate(scores))
    return [f"{n}-{i}" for n, i in sorted((n, i) for _, n, i in ranked[:count])]


def test_exactly_the_fraction_is_kept_whatever_the_ties(stage_on):
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.lists(st.lists(SCORES, max_size=12), min_size=1, max_size=3), FRACTIONS)
    @example([[0.5] * 100], 0.07)  # 0.07 * 100 is 7.000000000000001
    @example([[], []], 0.1)
    def check(shards, fraction):
        count = sum(map(len, shards))
        report, kept, dropped, _ = stage_on(shards, fraction=fraction)
        assert len(kept) == ceil(count * Fraction(str(fraction)))
        assert kept == best(shards, len(kept))
        assert len(kept) + len(dropped) == count == report.read.documents

    check()


def test_a_fixed_threshold_is_inclusive(stage_on):
    _, kept, _, out = stage_on([[0.5, 0.49999997, 0.6], [0.2, 0.5]], fraction=None, threshold=0.5)
    assert kept == ["0-0", "0-2", "1-1"]
    assert [(r["dropped_by"], r["value"]) for r in rows(out, "dropped")][1] == ("quality_probability", pytest.approx(0.2))


@pytest.mark.parametrize("threshold", [0.018112, 0.1])
def test_a_fixed_threshold_is_a_float32_as_the_scores_are(stage_on, threshold):
    assert stage_on([[threshold]], fraction=None, threshold=threshold)[1] == ["0-0"]


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.9, 1.0])
def test_by_bytes_the_highest_scores_reach_the_fraction_and_no_score_more(stage_on, fraction):
    shards = [[0.9, 0.5, 0.1], [0.8, 0.5, 0.3]]
    sizes = {0.9: 100, 0.8: 50, 0.5: 200, 0.3: 400, 0.1: 1000}
    report, kept, _, _ = stage_on(shards, sizes, fraction=fraction, by="bytes")
    total = report.read.bytes
    levels = [0.9, 0.8, 0.5, 0.3, 0.1]
    weight = {s: sum(sizes[s] for scores in shards for x in scores if x == s) for s in levels}
    enough = next(k for k in range(1, 6) if sum(weight[s] for s in levels[:k]) >= fraction * total)
    assert sorted(kept) == sorted(
        f"{n}-{i}" for n, scores in enumerate(shards) for i, s in enumerate(scores) if s in levels[:enough]
    )


WEIGHED = st.lists(st.lists(st.tuples(SCORES, st.integers(0, 9)), max_size=12), min_size=1, max_size=3)


def test_by_a_column_the_highest_scores_reach_the_fraction_and_no_score_more(stage_on):
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(WEIGHED, FRACTIONS)
    @example([[(0.9, 0), (0.5, 4)], [(0.25, 0)]], 1.0)
    @example([[(0.9, 0)], [(0.5, 3), (0.5, 3), (0.25, 1)]], 0.01)
    def check(shards, fraction):
        scores = [[s for s, _ in part] for part in shards]
        tokens = [pa.array([t for _, t in part], pa.int64()) for part in shards]
        report, kept, _, out = stage_on(scores, columns={"token_count": tokens}, fraction=fraction, by="token_count")
        total = sum(t for part in shards for _, t in part)
        wanted = ceil(total * Fraction(str(fraction)))
        levels = sorted({float(np.float32(s)) for part in scores for s in part}, reverse=True)
        reached = 0
        for level in levels:
            reached += sum(t for part in shards for s, t in part if float(np.float32(s)) == level)
            if reached >= wanted:
                break
        if total:
            assert kept == [
                f"{n}-{i}" for n, part in enumerate(scores) for i, s in enumerate(part) if float(np.float32(s)) >= level
            ]
            assert report_of(out)["facts"]["threshold"] == level
        else:
            assert kept == []
        assert report.read.documents == sum(map(len, shards))

    check()


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int32(), pa.uint64()])
def test_by_a_column_of_any_whole_numbers(stage_on, kind):
    tokens = [pa.array([10, 1], kind), pa.array([5], kind)]
    assert stage_on([[0.5, 0.9], [0.7]], columns={"n": tokens}, fraction=0.3, by="n")[1] == ["0-1", "1-0"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, r"0\.parquet has no column 'token_count' to weigh documents by: give by=documents or bytes, or add it first"),
        (pa.array([1, -1]), r"0\.parquet, column token_count: expected whole numbers from 0 on, without nulls"),
        (pa.array([1, None]), "without nulls, found int64"),
        (pa.array([1.0, 2.0]), "expected whole numbers from 0 on, without nulls, found double"),
        (pa.array(["1", "2"]), "found string"),
        (pa.array([True, False]), "found bool"),
        (pa.array([None, None]), "found null"),
    ],
)
@pytest.mark.parametrize("parameters", [{"fraction": 0.5}, {"fraction": None, "threshold": 0.5}])
def test_columns_that_cannot_weigh(stage_on, values, message, parameters):
    with pytest.raises(DataError, match=message):
        stage_on([[0.5, 0.9]], columns={"token_count": [values]} if values is not None else {}, by="token_count", **parameters)


@pytest.mark.parametrize("by", ["documents", "bytes", "n"])
@pytest.mark.parametrize(("shards", "kept"), [([[0.5]], ["0-0"]), ([[], [0.5], []], ["1-0"]), ([[]], []), ([], [])])
def test_fewer_documents_than_the_fraction_needs_by_any_weight(stage_on, shards, kept, by):
    report, found, dropped, out = stage_on(shards, columns={"n": [pa.array([7] * len(s), pa.int64()) for s in shards]}, by=by)
    assert found == kept
    assert dropped == []
    assert report.kept.documents == len(kept)
    assert report_of(out)["report"]["read"]["documents"] == len(kept)


def test_nan_is_never_kept(stage_on):
    nan = float("nan")
    _, kept, _, out = stage_on([[nan, 0.1], [nan, nan]], fraction=1.0)
    assert kept == ["0-1"]
    assert [row["value"] for row in rows(out, "dropped")] == [None, None, None]
    assert stage_on([[nan, 0.1]], fraction=None, threshold=-1.0)[1] == ["0-1"]
    assert stage_on([[nan, nan]], fraction=0.5)[1] == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_documents_than_the_fraction_needs(stage_on, count):
    assert len(stage_on([[0.5] * count], fraction=0.1)[1]) == min(count, 1)


NUMBERS = {
    pa.int64(): [2**53, 2**53 + 1, -(2**62), 2**62 + 1, 2**62, 0],
    pa.uint64(): [2**64 - 1, 2**64 - 2, 0, 1],
    pa.int8(): [-128, 127, 0, 3],
    pa.float64(): [0.1, 0.1 + 2**-56, -0.5, 1e300, 1e-300, float("-inf"), float("inf")],
    pa.float32(): [0.5, 0.25, float(np.float32(0.5000001))],
    pa.bool_(): [True, False],
}


def numbered(folder: Path, parts: list[pa.Array]) -> list[Any]:
    return [shard(folder / "in" / f"{n}.parquet", ["a text"] * len(part), worth=part) for n, part in enumerate(parts)]


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.5, 1.0])
def test_an_exact_top_fraction_of_any_column(tmp_path, kind, fraction):
    """Whole numbers beyond 2^53 and doubles that are equal as floats are told apart; ties are kept in the input's order."""
    values = [*NUMBERS[kind] * 2, None]
    parts = [pa.array(values[:3], kind), pa.array([], kind), pa.array(values[3:], kind)]
    report = Quality(model="column:worth", fraction=fraction)(numbered(tmp_path, parts), str(tmp_path / "out"), here)
    known = len(values) - 1
    wanted = ceil(known * Fraction(str(fraction)))
    ids = [f"{n}-{i}" for n, part in enumerate(parts) for i in range(len(part))]
    order = sorted(range(known), key=lambda k: (-values[k], k))[:wanted]
    assert [r["id"] for r in rows(tmp_path / "out")] == [ids[k] for k in sorted(order)]
    assert [r["worth"] for r in rows(tmp_path / "out")] == [values[k] for k in sorted(order)]
    assert report.read.documents == len(values)
    found = rows(tmp_path / "out")[0]
    assert "quality_probability" not in found
    assert {r["dropped_by"] for r in rows(tmp_path / "out", "dropped")} <= {"worth"}
    assert report_of(tmp_path / "out")["facts"]["threshold"] == values[order[-1]]


@pytest.mark.parametrize("threshold", [0.5, 1, -3, 2.5])
@pytest.mark.parametrize("kind", [pa.int32(), pa.float64(), pa.uint8()], ids=str)
def test_a_fixed_threshold_on_any_column(tmp_path, kind, threshold):
    values = [0, 1, 2, 3, None]
    Quality(model="column:worth", fraction=None, threshold=threshold)(
        numbered(tmp_path, [pa.array(values, kind)]), str(tmp_path / "out"), here
    )
    assert [r["worth"] for r in rows(tmp_path / "out")] == [v for v in values[:4] if v >= threshold]


def test_a_top_fraction_of_a_signal(tmp_path):
    texts = ["one two three", "one", "one two three four", "", "one two"]
    inputs = [shard(tmp_path / "a.parquet", texts[:2]), shard(tmp_path / "b.parquet", texts[2:])]
    for fraction, kept in ((0.2, texts[2:3]), (0.4, [texts[0], texts[2]]), (1.0, texts)):
        out = tmp_path / f"out{fraction}"
        Quality(model="signal:word_count", fraction=fraction)(inputs, str(out), here)
        assert [r["text"] for r in rows(out)] == kept
        assert [r["word_count"] for r in rows(out)] == [len(t.split()) for t in kept]


def test_a_signal_of_urls_and_a_column_by_another_name(tmp_path):
    inputs = [shard(tmp_path / "a.parquet", ["x", "y"], edu=pa.array([1.5, 0.5]))]
    Quality(model="column:edu", column="worth", fraction=1.0)(inputs, str(tmp_path / "out"), here)
    assert [(r["edu"], r["worth"]) for r in rows(tmp_path / "out")] == [(1.5, 1.5), (0.5, 0.5)]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [pa.array([1, 2]), pa.array([1.5])],
            "the scores of column:worth are double in .*1.parquet; int64 in .*0.parquet: cast",
        ),
        ([pa.array(["a"])], r"0.parquet: column 'worth' holds .*string: a score must be a number"),
    ],
)
def test_columns_that_cannot_rank(tmp_path, parts, message):
    with pytest.raises((DataError, SignalError), match=message):
        Quality(model="column:worth")(numbered(tmp_path, parts), str(tmp_path / "out"), here)


def test_a_column_that_is_not_there(tmp_path):
    with pytest.raises(SignalError, match=r"a.parquet: there is no column 'worth'; there are: id, "):
        Quality(model="column:worth")([shard(tmp_path / "a.parquet", ["x"])], str(tmp_path / "out"), here)


@pytest.mark.parametrize("empty", [pa.array([], pa.null()), pa.array([None, None], pa.null()), pa.array([None], pa.int64())])
def test_shards_without_a_number_do_not_decide_the_type(tmp_path, empty):
    Quality(model="column:worth", fraction=0.5)(
        numbered(tmp_path, [empty, pa.array([5, 7], pa.int64())]), str(tmp_path / "out"), here
    )
    assert [r["worth"] for r in rows(tmp_path / "out")] == [7]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "signal:nothing"}, "no signal is called 'nothing'"),
        ({"model": ""}, "model is empty"),
        ({"column": "text"}, "column is 'text'; expected a name that documents do not have"),
        ({"fraction": None, "threshold": float("nan")}, "threshold is nan; expected a finite number"),
        ({"model": "signal:url_host_count"}, "url_host_count needs the parameter 'hosts'"),
    ],
)
def test_parameters_that_cannot_be(parameters, message):
    with pytest.raises(RecipeError, match=message):
        Quality.of(parameters)


def test_the_toy_classifier_is_announced(model):
    (note,) = Quality().notes()
    assert "toy" in note
    assert "quality.model=hf://mlfoundations/" in note
    assert Quality(model=str(model)).notes() == Quality(model="column:x").notes() == []


def test_a_model_that_changed_under_the_workers_is_refused(tmp_path, model):
    def tampering(work, tasks):
        for path in (tmp_path / "out" / "model").iterdir():
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        return here(work, tasks)

    with pytest.raises(DataError, match=r"model\.fold is not the model that this stage wrote"):
        Quality(model=str(model))([shard(tmp_path / "a.parquet", ["x"])], str(tmp_path / "out"), tampering)


def test_a_flipped_bit_in_the_scores_is_noticed(tmp_path, model):
    def flipping(work, tasks):
        for path in (tmp_path / "out" / "scores").glob("*.parquet"):
            content = bytearray(path.read_bytes())
            content[len(content) // 3] ^= 1
            path.write_bytes(content)
        return here(work, tasks)

    with pytest.raises(DataError, match=r"scores-00000\.parquet is not what it was"):
        Quality(model=str(model))([shard(tmp_path / "a.parquet", ["x", "y"])], str(tmp_path / "out"), flipping)


def test_scores_of_a_real_model_are_kept_as_a_column(tmp_path, model):
    inputs = [shard(tmp_path / "in.parquet", ["Why is the sky blue? Because of the air.", "buy now", ""])]
    Quality(model=str(model), fraction=1.0, column="worth")(inputs, str(tmp_path / "out"), here)
    assert all(0 <= row["worth"] <= 1 for row in rows(tmp_path / "out"))


def test_what_is_no_model(tmp_path):
    (tmp_path / "a.bin").write_text("no model")
    with pytest.raises(ModelError, match=r"a\.bin"):
        Quality(model=str(tmp_path / "a.bin"))([], str(tmp_path / "out"), here)


def test_the_built_in_model_is_the_same_bytes_wherever_it_is_trained(tmp_path, monkeypatch):
    inputs = [shard(tmp_path / "in.parquet", ["some text of a page", "another text of a page"])]
    for name in ("a", "b"):
        monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / f"cache-{name}"))
        Quality()(inputs, str(tmp_path / name), here)
    files = [{p.name: p.read_bytes() for p in sorted((tmp_path / name / "model").iterdir())} for name in ("a", "b")]
    assert files[0] == files[1]
    assert len(files[0]) >= 3
