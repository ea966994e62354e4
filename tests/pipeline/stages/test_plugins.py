"""Stages of installed packages: used by name in recipes and commands, in workers, and in fingerprints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.conftest import rows, shard

STAGE = '''
from dataclasses import dataclass
from typing import ClassVar

from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Stage, finish, stage_of, tasks_for
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.tasks import TaskOutput


@dataclass(frozen=True)
class First(Stage):
    """Keep the first documents of each shard."""

    name: ClassVar[str] = "first"
    count: int = 1

    def cost(self, load):
        return Cost(100.0)

    def __call__(self, inputs, out, run):
        tasks = tasks_for(self, inputs, out)
        run(take, tasks)
        return finish(self, inputs, out, tasks)


def take(task):
    stage = stage_of(task, First)
    with TaskOutput(task, schema_of(task.source)) as output:
        for table, texts in output.batches(task.source):
            kept = texts.take(range(min(stage.count, len(texts))))
            output.write("kept", table.slice(0, len(kept)))
            lost = Count(len(texts) - len(kept), texts.bytes - kept.bytes)
            output.report += Report(Count(len(texts), texts.bytes), Count(len(kept), kept.bytes), {"later": lost})
'''


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python that has a package with the stage ``first`` and one whose stage is broken."""
    site = tmp_path / "site"
    info = site / "first_stage-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "first_stage.py").write_text(STAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: first-stage\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[goldwash.stages]\nfirst = first_stage:First\nbroken = first_stage:Missing\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


def command(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goldwash", *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )


def test_a_stage_of_an_installed_package_runs_in_workers(tmp_path, installed):
    for n in range(3):
        shard(tmp_path / "in" / f"{n}.parquet", ["one", "two", "three"])
    words = ("stage", "first", "--input", tmp_path / "in", "--out", tmp_path / "out", "--workers", 2)
    done = command(installed, *words, "--set", "count=2")
    assert done.returncode == 0, done.stderr
    assert [row["text"] for row in rows(tmp_path / "out")] == ["one", "two"] * 3
    (tmp_path / "site" / "first_stage.py").write_text(STAGE.replace("range(min", "range(0 + min"))
    again = command(installed, *words, "--set", "count=2")
    assert again.returncode == 1
    assert "other parameters, inputs, versions or code" in again.stderr


def test_one_that_cannot_be_loaded_says_whose_it_is(installed):
    done = command(installed, "stage", "broken", "--input", "x", "--out", "y")
    assert done.returncode == 1
    assert "stage broken of the package first-stage (first_stage:Missing) cannot be loaded: AttributeError" in done.stderr


SIGNALS = """
from goldwash.filters import per_text
from goldwash.filters.signals import edit


@per_text
def commas_count(text: str) -> float:
    return text.count(",")


@edit
def plugged_edit(texts):
    return texts
"""

VERSIONS = """
import json
from goldwash.pipeline.stages import STAGES
steps = {
    "keep": {"keep": "commas_count", "max": 9},
    "keep_lines": {"keep_lines": "commas_count", "max": 9},
    "edit": {"edit": "plugged_edit"},
    "own": {"keep": "word_count", "min": 1},
}
print(json.dumps({name: STAGES["heuristics"].of({"steps": [step]}).versions() for name, step in steps.items()}))
"""


def test_versions_of_plug_ins_are_in_the_fingerprint_of_heuristics(tmp_path: Path) -> None:
    found = {}
    for version in ("1.5", "1.6"):
        site = tmp_path / version
        info = site / f"gold_plugin-{version}.dist-info"
        info.mkdir(parents=True)
        (site / "gold_plugin.py").write_text(SIGNALS)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gold-plugin\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("[goldwash.signals]\nmine = gold_plugin\n")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run([sys.executable, "-c", VERSIONS], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[version] = json.loads(done.stdout)
    for version, stages in found.items():
        assert stages["keep"]["signal commas_count"] == stages["keep_lines"]["signal commas_count"] == f"gold-plugin {version}"
        assert stages["edit"]["edit plugged_edit"] == f"gold-plugin {version}"
        assert not any("gold-plugin" in value for value in stages["own"].values())
