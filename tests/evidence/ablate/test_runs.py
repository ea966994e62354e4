"""``goldwash ablate`` on the sample crawl: shared stages run once, one table, finished work is kept; CPU-seconds."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from goldwash.evidence.ablate.meter import Book, cpu_seconds, estimated
from goldwash.evidence.cli import register
from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline import flow
from goldwash.pipeline.engines.local import Local
from goldwash.pipeline.engines.settings import Screen
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.report import Count, Report
from tests.support.sources import SOURCES, source, written

APP = typer.Typer()
register(APP)


def goldwash(*words: str) -> str:
    result = CliRunner().invoke(APP, ["ablate", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture
def shards(tmp_path: Path) -> tuple[str, str]:
    """Documents and targets."""
    written(tmp_path / "in" / "texts.jsonl", [text for topic in SOURCES[:4] for text in source(topic, 40)])
    written(tmp_path / "held.jsonl", [text for topic in SOURCES[:4] for text in source(topic, 5, 10_000)])
    return str(tmp_path / "in"), str(tmp_path / "held.jsonl")


RECIPE = """
description: two stages for documents
stages:
  - heuristics: {steps: [{keep: word_count, min: 10}, {keep: fasttext_word_count, max: 1000}]}
  - exact: {}
"""


def test_variants_share_what_they_have_in_common(shards: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    out = tmp_path / "out"
    words = (
        str(tmp_path / "recipe.yaml"), "--input", shards[0], "--out", str(out), "--targets", shards[1], "--workers", "1",
        "--vary", "fasttext_word_count.max=1000,140", "--vary", "exact=in,out", "--vocabulary", "400", "--seeds", "3",
        "--points", "2", "--overlap", "1",
    )  # fmt: skip
    text = goldwash(*words)
    assert "fasttext_word_count.max=140 exact=out" in text
    assert "0 of 2" in text
    assert "1 of 1" in text  # without exact, a variant is the heuristics of another
    stages = sorted(path.name for path in out.iterdir() if path.is_dir() and path.name[0] == "0")
    assert [name[:5] for name in stages] == ["01-he", "01-he", "02-ex", "02-ex"]
    assert not (out / "dataset").exists()
    found = json.loads((out / "ablation.json").read_text())
    kept = {row["variant"]: row["documents"] for row in found["variants"]}
    assert kept["fasttext_word_count.max=1000 exact=in"] == 160
    assert 0 < kept["fasttext_word_count.max=140 exact=in"] < 160
    assert all(row["cpu_seconds_measured"] for row in found["variants"]) == (cpu_seconds() is not None)
    times = {path: path.stat().st_mtime_ns for path in out.glob("0*/part-*.parquet")}
    assert goldwash(*words) == text
    assert {path: path.stat().st_mtime_ns for path in out.glob("0*/part-*.parquet")} == times


@dataclass(frozen=True)
class Elsewhere(Local):
    """An engine whose work is not done by this machine's engine `local`, as far as `ablate` knows."""

    walked: list[flow.Request] = field(default_factory=list)

    def walk(self, request: flow.Request, screen: Screen, detach: bool = False) -> Sequence[Any]:
        self.walked.append(request)
        return super().walk(request, screen, detach)


def test_another_engine_gets_the_same_requests_and_its_seconds_are_estimated(
    shards: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm and Ray are stood up in test_on_clusters.py, which is slow."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    engine = Elsewhere(1)
    monkeypatch.setattr("goldwash.pipeline.cli.engines.engine_settings", lambda *_: engine)
    text = goldwash(
        str(tmp_path / "recipe.yaml"), "--input", shards[0], "--out", str(tmp_path / "out"), "--targets", shards[1], "--vary",
        "exact=in,out", "--vocabulary", "400", "--seeds", "2", "--points", "1", "--overlap", "1",
    )  # fmt: skip
    assert [(request.out, request.until) for request in engine.walked] == [
        (str(tmp_path / "out"), "exact"), (str(tmp_path / "out"), "heuristics"),
    ]  # fmt: skip
    assert "~: estimated from measured rates" in text
    found = json.loads((tmp_path / "out" / "ablation.json").read_text())["variants"]
    assert [(row["documents"], row["cpu_seconds_measured"]) for row in found] == [(160, False), (160, False)]


def test_a_variant_without_documents_is_named(shards: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    words = ("--input", shards[0], "--out", str(tmp_path / "out"), "--targets", shards[1], "--workers", "1")
    with pytest.raises(EvidenceError, match=r"variant word_count.min=9999 kept no document .*report.json says why"):
        goldwash(str(tmp_path / "recipe.yaml"), *words, "--vary", "word_count.min=10,9999")


def test_faults_are_said_before_anything_runs(shards: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    words = (str(tmp_path / "recipe.yaml"), "--input", shards[0], "--out", str(tmp_path / "out"), "--vary", "exact=in,out")
    for more, message in (
        (("--targets", "nowhere.jsonl"), "nowhere"),
        (("--targets", shards[1], "--proxy", "x"), "ngram or gpt"),
        (("--targets", shards[1], "--page", "x.pdf"), ".html"),
        (("--targets", shards[1], "--seeds", "0"), "--seeds"),
    ):
        with pytest.raises(EvidenceError, match=message):
            goldwash(*words, *more)
    assert not (tmp_path / "out").exists()


def test_cpu_seconds_are_of_this_process_and_its_children() -> None:
    before = cpu_seconds()
    if before is None:
        pytest.skip("this machine has no /proc")
    spin = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    child = subprocess.Popen([sys.executable, "-c", f"{spin}\ntime.sleep(60)"])
    try:
        until = time.monotonic() + 60
        while (cpu_seconds() or 0) < before + 0.55 and time.monotonic() < until:
            time.sleep(0.05)
        assert (cpu_seconds() or 0) >= before + 0.55
    finally:
        os.kill(child.pid, 9)
        child.wait()


def test_a_book_keeps_seconds_and_estimates_what_it_does_not_know(tmp_path: Path) -> None:
    stage = load("sample").stage("exact") if "exact" in load("sample").stage_names() else load("sample").stages[1]
    report = Report(Count(10, 50_000_000), Count(10, 50_000_000))
    book = Book.of(str(tmp_path))
    assert book.of_stages([stage], ["x/02-a"], [{"report": report.to_dict()}]).measured is False
    assert book.of_stages([stage], ["x/02-a"], [{"report": report.to_dict()}]).seconds == estimated(stage, report) > 0
    book.add("x/02-a", 1.5)
    book.add("y/02-a/", 0.25)
    spent = Book.of(str(tmp_path)).of_stages([stage], ["x/02-a"], [{"report": report.to_dict()}])
    assert (spent.seconds, spent.measured) == (1.75, True)
