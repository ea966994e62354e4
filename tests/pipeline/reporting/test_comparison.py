"""Two runs by id: what is gained and lost agrees with the runs' own shards."""

from pathlib import Path

import pyarrow as pa
import pytest

from goldwash.pipeline import flow
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.reporting import parts
from goldwash.pipeline.reporting.comparison import ABSENT, compared, page
from goldwash.pipeline.reporting.facts import facts_of
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.reporting.test_page import Reader, ran
from tests.support.hostile import documents

STEPS = "stages:\n  - heuristics:\n      steps:\n"
TIGHT = f"{STEPS}        - {{keep: word_count, min: 5, as: short}}\n        - {{keep: word_count, max: 8}}\n"
WIDE = f"{STEPS}        - {{keep: word_count, min: 3}}\n        - {{keep: word_count, max: 7, as: long}}\n"


def two(folder: Path, texts: list[list[str]]) -> tuple[Path, Path]:
    """Runs of two recipes over the same shards."""
    runs = []
    for n, some in enumerate(texts):
        shard(folder / "in" / f"s{n}.parquet", some)
    for name, recipe in (("a", TIGHT), ("b", WIDE)):
        (folder / f"{name}.yaml").write_text(recipe)
        flow.run_recipe(load(str(folder / f"{name}.yaml")), [str(folder / "in")], str(folder / name), here)
        runs.append(folder / name)
    return runs[0], runs[1]


WORDS = [" ".join(["word"] * n) for n in range(1, 11)]


def test_gains_and_losses_are_those_of_the_shards(tmp_path: Path) -> None:
    a, b = two(tmp_path, [WORDS, WORDS[::-1]])
    kept = [{row["id"] for row in rows(run / "dataset")} for run in (a, b)]
    found = compared(facts_of(str(a)), facts_of(str(b)))
    assert found.compared == 20
    assert found.both == len(kept[0] & kept[1])
    assert found.gained == len(kept[1] - kept[0]) > 0
    assert found.lost == len(kept[0] - kept[1]) > 0
    for change in found.changes:
        for sample in change.samples:
            assert (sample.id in kept[1] - kept[0]) == change.gained
            assert (sample.id in kept[0] - kept[1]) == change.lost
            assert sample.text.startswith("word") or not (change.gained or change.lost)
    assert {(c.before, c.after): c.documents for c in found.changes} == {
        ("01-heuristics: short", "kept"): 4, ("kept", "01-heuristics: long"): 2,
        ("01-heuristics: short", "01-heuristics: word_count"): 4,
        ("01-heuristics: word_count", "01-heuristics: long"): 4,
    }  # fmt: skip
    assert found.same_inputs
    assert found.whole
    text = Reader(page(found)).text
    assert "+4 gained −2 lost 6 kept by both" in text
    assert "min: 3" in text


def test_a_run_equals_itself(tmp_path: Path) -> None:
    a, _ = two(tmp_path, [WORDS])
    found = compared(facts_of(str(a)), facts_of(str(a)))
    assert (found.gained, found.lost, found.changes) == (0, 0, ())
    assert "Nothing: the recipes are equal" in Reader(page(found)).text


def test_large_runs_are_compared_on_the_same_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two(tmp_path, [WORDS] * 6)
    monkeypatch.setattr(parts, "MOST_DOCUMENTS", 25)
    found = compared(facts_of(str(a)), facts_of(str(b)))
    assert not found.whole
    assert found.compared == 20
    assert (found.gained, found.lost) == (4, 2)
    assert not any(ABSENT in (c.before, c.after) for c in found.changes)


def test_runs_of_different_inputs_are_compared_as_far_as_that_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = ran(tmp_path / "a", WORDS), ran(tmp_path / "b", [*WORDS, "eleven words"])
    found = compared(facts_of(str(one)), facts_of(str(other)))
    assert not found.same_inputs
    assert [(c.before, c.documents) for c in found.changes] == [(ABSENT, 1)]
    assert "The runs have different inputs" in Reader(page(found)).text
    monkeypatch.setattr(parts, "MOST_DOCUMENTS", 5)
    monkeypatch.setattr(parts, "MOST_PARTS", 1)
    shard(tmp_path / "b" / "in" / "more.parquet", WORDS)
    flow.run_recipe(load(str(tmp_path / "b" / "recipe.yaml")), [str(tmp_path / "b" / "in")], str(tmp_path / "c"), here)
    with pytest.raises(DataError, match="compare runs on the same inputs"):
        compared(facts_of(str(one)), facts_of(str(tmp_path / "c")))


def test_runs_that_are_not_finished_are_compared(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "run.json").write_text('{"recipe": "x", "order": ["extract"], "stages": [], "input": []}')
    a, _ = two(tmp_path, [WORDS])
    assert "gained" in page(compared(facts_of(str(a)), facts_of(str(tmp_path / "x"))))


def test_hostile_documents_are_text(tmp_path: Path) -> None:
    texts, ids, urls = documents()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one = ran(tmp_path / "a", texts, id=pa.array(ids), url=pa.array(urls))
    other = ran(tmp_path / "b", ["short"] * len(texts), id=pa.array(ids), url=pa.array(urls))
    read = Reader(page(compared(facts_of(str(one)), facts_of(str(other)))))
    assert read.tags.count("script") == 1
    assert "img" not in read.tags
    assert not {name for name in read.attributes if name.startswith("on")}
