"""A run from Python is the run of the command line."""

from pathlib import Path

import pytest

import goldwash
from goldwash.pipeline.interface.memory import in_process
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import rows


def dataset(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((run / "dataset").glob("part-*.parquet"))}


def test_a_run_is_that_of_the_command_line(sample, sample_run, tmp_path) -> None:
    said: list[str] = []
    found = goldwash.run("sample", sample / "crawl", tmp_path / "run", workers=2, notify=said.append)
    assert dataset(tmp_path / "run") == dataset(sample_run)
    assert found.finished
    assert [s.name for s in found] == ["extract", "heuristics", "minhash", "bloom", "quality", "decontaminate"]
    assert found.documents().count_rows() == len(rows(tmp_path / "run" / "dataset"))
    theirs = goldwash.report(sample_run)
    assert [s.report for s in theirs] == [s.report for s in found]
    assert found["quality"].facts == theirs["quality"].facts
    table = found.table().to_pylist()
    assert table[0] == {
        "stage": "extract", "rule": "read", "documents": found["extract"].report.read.documents,
        "bytes": found["extract"].report.read.bytes,
    }  # fmt: skip
    gone = found["heuristics"].dropped().to_table()
    assert gone.num_rows == sum(count.documents for count in found["heuristics"].report.dropped.values())


def test_settings_skip_until_and_an_executor(sample, tmp_path) -> None:
    found = goldwash.run(
        "sample", [str(sample / "crawl")], tmp_path, settings={"minhash.keep": "first"}, skip=["bloom"], until="minhash",
        executor=in_process(),
    )  # fmt: skip
    assert [s.name for s in found] == ["extract", "heuristics", "minhash"]
    assert found["minhash"].config["keep"] == "first"
    assert not (tmp_path / "dataset").exists()
    again = goldwash.run(
        goldwash.recipe("sample", {"minhash": {"keep": "first"}}, ["bloom"]), sample / "crawl", tmp_path, until="minhash"
    )
    assert [s.folder for s in again] == [s.folder for s in found]


def test_why_a_page_is_gone(sample_run) -> None:
    gone = goldwash.report(sample_run)["heuristics"].dropped().to_table().to_pylist()[0]
    ((document, passages),) = goldwash.explain(sample_run, gone["id"])
    assert document["url"] == gone["url"]
    assert [p.verdict for p in passages] == ["kept", gone["dropped_by"]]


def test_the_report_of_one_stage(sample_run) -> None:
    (folder,) = sample_run.glob("02-heuristics-*")
    found = goldwash.report(folder)
    assert [s.name for s in found] == ["heuristics"]
    assert found.documents().count_rows() == found["heuristics"].report.kept.documents


def test_what_cannot_be_is_told(sample, sample_run, tmp_path) -> None:
    with pytest.raises(DataError, match="is not a run"):
        goldwash.report(tmp_path)
    with pytest.raises(RecipeError, match="no recipe is called 'smaple': did you mean 'sample'"):
        goldwash.run("smaple", sample / "crawl", tmp_path)
    with pytest.raises(DataError, match="no archive there"):
        goldwash.run("sample", tmp_path, tmp_path / "run")
    with pytest.raises(KeyError, match="no stage 'score' is finished"):
        _ = goldwash.report(sample_run)["score"]
    with pytest.raises(TypeError, match="make the recipe with them"):
        goldwash.run(goldwash.recipe("sample"), sample / "crawl", tmp_path, skip=["bloom"])
