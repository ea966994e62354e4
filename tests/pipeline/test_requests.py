"""Runs that must not begin, or must not go on: foreign folders, other recipes, unread inputs, other code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.pipeline import stage as stages
from goldwash.pipeline.flow import Options, Request, begin, resumed, run_recipe, run_stage, same_run
from goldwash.pipeline.recipes.recipe import Recipe
from goldwash.pipeline.stage import RunError
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locks import LockError, run_lock
from tests.pipeline.conftest import here, rows, shard
from tests.support.archives import gzipped, warc


def recipe(minimum: int = 1, name: str = "own") -> Recipe:
    return Recipe(name, "", (STAGES["heuristics"].of({"steps": [{"keep": "word_count", "min": minimum}]}),))


@pytest.fixture
def source(tmp_path: Path) -> list[str]:
    shard(tmp_path / "in" / "a.parquet", ["one", "one two three"])
    return [str(tmp_path / "in")]


def ids(out: Path) -> list[object]:
    return [row["text"] for row in rows(out / "dataset")]


def test_another_recipe_may_follow_in_the_same_folder(tmp_path, source):
    out = str(tmp_path / "run")
    run_recipe(recipe(1), source, out, here)
    assert ids(tmp_path / "run") == ["one", "one two three"]
    run_recipe(recipe(2), source, out, here)
    assert ids(tmp_path / "run") == ["one two three"]


def test_a_run_whose_folder_another_one_took_over_stops(tmp_path, source):
    out = str(tmp_path / "run")
    first = begin(recipe(1), source, out)
    second = begin(recipe(2), source, out)
    with pytest.raises(RunError, match=rf"taken over by another run .*{second.fingerprint}.*give each run its own --out"):
        first.walk(here)
    second.walk(here)
    assert ids(tmp_path / "run") == ["one two three"]


def test_a_driver_that_goes_on_takes_up_the_run_that_is_there(tmp_path, source):
    out = str(tmp_path / "run")
    begun = begin(recipe(2), source, out, options=Options(allow_empty=True))
    again = resumed(out)
    assert (again.fingerprint, again.options) == (begun.fingerprint, begun.options)
    again.walk(here)
    assert ids(tmp_path / "run") == ["one two three"]


def test_what_is_queued_is_compared(tmp_path, source):
    out = str(tmp_path / "run")
    begun = begin(recipe(1), source, out, on="slurm")
    assert same_run(recipe(1), source, out).fingerprint == begun.fingerprint
    assert Request(recipe(1), source, out).queued().fingerprint == begun.fingerprint
    shard(tmp_path / "other" / "a.parquet", ["one"])
    for other, names, until in ((recipe(2), source, None), (recipe(1), [str(tmp_path / "other")], None)):
        with pytest.raises(RunError, match=r"has a run of recipe own in the queue .* cancel the queued one first"):
            same_run(other, names, out, until)


def test_two_drivers_on_one_folder(tmp_path, source):
    out = str(tmp_path / "run")
    with run_lock(out):
        for act in (
            lambda: run_recipe(recipe(), source, out, here),
            lambda: begin(recipe(), source, out),
            lambda: run_stage(recipe().stages[0], find_shards(source), out, here),
        ):
            with pytest.raises(LockError, match="is in use: process"):
                act()
    run_recipe(recipe(), source, out, here)


@pytest.mark.parametrize("at", ["", "dataset"])
def test_nothing_of_the_users_is_replaced(tmp_path, source, at):
    mine = tmp_path / "mine" / at
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="files that goldwash did not write"):
        run_recipe(recipe(), source, str(tmp_path / "mine"), here)
    with pytest.raises(DataError, match="files that goldwash did not write"):
        run_stage(recipe().stages[0], find_shards(source), str(tmp_path / "mine"), here)
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert sorted(p.name for p in mine.iterdir()) == ["thesis.txt"]


@pytest.mark.parametrize("out", ["in", "in/out", "."])
def test_an_output_that_is_or_holds_an_input_is_refused(tmp_path, source, out):
    before = (tmp_path / "in" / "a.parquet").read_bytes()
    for act in (
        lambda: run_recipe(recipe(), source, str(tmp_path / out), here),
        lambda: run_stage(recipe().stages[0], find_shards(source), str(tmp_path / out), here, names=source),
    ):
        with pytest.raises(DataError, match="choose a folder apart from it"):
            act()
    assert (tmp_path / "in" / "a.parquet").read_bytes() == before
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["a.parquet"]


EXTRACT = STAGES["extract"].of({"extractor": "resiliparse"})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"junk that is no archive", "no record could be read from .*bad"),
        (gzipped([b"neither is this"]), "no record could be read from .*bad"),
        (b"", "no record could be read from .*bad|found no document"),
    ],
)
def test_an_archive_that_gives_nothing_stops_the_run(tmp_path, content, why):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.warc.gz").write_bytes(content)
    (tmp_path / "in" / "good.warc").write_bytes(b"".join(warc(1)))
    made = Recipe("own", "", (EXTRACT,))
    alone = [str(tmp_path / "in" / "bad.warc.gz")]
    with pytest.raises(DataError, match=f"{why}.*--allow-empty"):
        run_recipe(made, alone, str(tmp_path / "alone"), here)
    if content:
        with pytest.raises(DataError, match=f"{why}.*--allow-empty"):
            run_recipe(made, [str(tmp_path / "in")], str(tmp_path / "run"), here)
    run_recipe(made, [str(tmp_path / "in")], str(tmp_path / "run"), here, options=Options(allow_empty=True))
    assert len(ids(tmp_path / "run")) == 1


def test_damage_is_in_the_stages_and_the_datasets_report(tmp_path):
    whole = b"".join(warc(2))
    (tmp_path / "half.warc").write_bytes(whole[: len(whole) - 100])
    run_recipe(Recipe("own", "", (EXTRACT,)), [str(tmp_path / "half.warc")], str(tmp_path / "run"), here)
    (report,) = (tmp_path / "run").glob("01-extract-*/report.json")
    facts = json.loads(report.read_text())["facts"]
    assert facts["damaged_places"] == 1
    assert facts["damage"][0]["archive"].endswith("half.warc")
    assert facts["damage"][0]["offset"] > 0
    assert facts["damaged_bytes"] > 0
    assert json.loads((tmp_path / "run" / "dataset" / "_report.json").read_text())["losses"]["damaged_places"] == 1


def test_other_code_redoes_a_stage_unless_it_is_accepted(tmp_path, source, monkeypatch):
    out, told = str(tmp_path / "run"), list[str]()
    run_recipe(recipe(), source, out, here)
    first = {p.name for p in (tmp_path / "run").glob("01-*")}
    monkeypatch.setattr(stages, "code_digest", lambda module: "another version")
    (step,) = run_recipe(recipe(), source, out, here, notify=told.append, options=Options(any_code=True))
    assert step.reused
    assert {Path(step.folder).name} == first
    assert "other code of goldwash made it" in told[0]
    (step,) = run_recipe(recipe(), source, out, here)
    assert not step.reused
    assert len(list((tmp_path / "run").glob("01-*"))) == 2


def test_unfinished_work_of_other_code_is_never_gone_on_with(tmp_path, source, monkeypatch):
    stage, out = recipe().stages[0], str(tmp_path / "out")
    stages.claim(stage, find_shards(source), out)
    monkeypatch.setattr(stages, "code_digest", lambda module: "another version")
    with pytest.raises(DataError, match="other parameters, inputs, versions or code"):
        run_stage(stage, find_shards(source), out, here, options=Options(any_code=True))


CHANGE = """
import sys
from pathlib import Path
from goldwash.pipeline.stages import STAGES
stage = STAGES[sys.argv[1]].of({} if sys.argv[1] != "heuristics" else {"steps": [{"keep": "word_count", "min": 1}]})
print(stage.code())
"""


def test_the_digest_of_code_sees_kernels_and_no_comments(tmp_path):
    """A copy of the sources in which one kernel, and then one comment, is changed."""
    import shutil

    import goldwash

    root = Path(goldwash.__file__).resolve().parents[2]
    for room in ("filters", "classifiers", "pipeline"):
        shutil.copytree(root / room, tmp_path / "goldwash" / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (root / "src" / "goldwash").glob("*.py"):
        shutil.copy(file, tmp_path / "goldwash")

    def code(name: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(tmp_path), "GOLDWASH_CACHE": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-c", CHANGE, name], env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    before = {name: code(name) for name in ("heuristics", "bloom")}
    words = tmp_path / "goldwash" / "filters" / "words.py"
    words.write_text("# a comment\n" + words.read_text())
    assert {name: code(name) for name in before} == before
    words.write_text(words.read_text() + "\nCHANGED = 1\n")
    assert code("heuristics") != before["heuristics"]
    dedup = tmp_path / "goldwash" / "pipeline" / "dedup" / "bloom.py"
    between = code("heuristics")
    dedup.write_text(dedup.read_text() + "\nCHANGED = 1\n")
    assert code("bloom") != before["bloom"]
    assert code("heuristics") == between


def test_an_upgrade_in_the_middle_of_a_stage_stops_its_tasks(tmp_path, source, monkeypatch):
    """Tasks that were planned by other code are refused by the worker, so that no stage mixes two versions."""
    stage = recipe().stages[0]
    (task,) = stages.tasks_for(stage, find_shards(source), str(tmp_path / "out"))
    assert stages.stage_of(task, type(stage)) == stage
    stages._stage_of.cache_clear()
    monkeypatch.setattr(stages, "code_digest", lambda module: "another version")
    with pytest.raises(RunError, match="has code another version, but the work was planned with"):
        stages.stage_of(task, type(stage))
