"""``goldwash ablate`` on Slurm and on Ray, both stood up for real: the answers are those of this machine."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.support.clusters import NoEngineError, ray_cluster, slurm_cluster
from tests.support.processes import goldwash
from tests.support.sources import SOURCES, source, written

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.xdist_group("engines")]
RECIPE = """
description: two stages for documents
stages:
  - heuristics: {steps: [{keep: word_count, min: 10}, {keep: fasttext_word_count, max: 1000}]}
  - exact: {}
"""
VARIED = (
    "--vary",
    "fasttext_word_count.max=1000,140",
    "--vocabulary",
    "400",
    "--seeds",
    "3",
    "--points",
    "2",
    "--overlap",
    "1",
)
SLURM = ("--with", "partition=gold", "memory_gb=1", "driver_memory_gb=1", "poll_seconds=0.5", "late_seconds=3")


def answers(folder: Path, out: str, *on: str) -> dict[str, Any]:
    """The answers of an ablation, without the seconds that it took."""
    words = (
        "ablate",
        folder / "recipe.yaml",
        "--input",
        folder / "in",
        "--out",
        folder / out,
        "--targets",
        folder / "held.jsonl",
    )
    goldwash(*words, *VARIED, *on, cwd=folder, timeout=400)
    found: dict[str, Any] = json.loads((folder / out / "ablation.json").read_text())
    for row in found["variants"]:
        del row["cpu_seconds"], row["cpu_seconds_measured"]
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([f"{ROOT}/src", str(ROOT)]))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    for topic in SOURCES[:2]:
        written(tmp_path / "in" / f"{topic}.jsonl", source(topic, 80))
    written(tmp_path / "held.jsonl", [text for topic in SOURCES[:2] for text in source(topic, 10, 10_000)])
    return tmp_path


def test_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    here = answers(folder, "here", "--workers", "1")
    try:
        with slurm_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
            for name, value in cluster.environment.items():
                monkeypatch.setenv(name, value)
            assert answers(folder, "there", "--on", "slurm", *SLURM) == here
    except NoEngineError as error:
        pytest.skip(str(error))


def test_ray(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    here = answers(folder, "here", "--workers", "1")
    try:
        with ray_cluster(Path(tmp_path_factory.mktemp("ray", numbered=True))) as cluster:
            for name, value in cluster.environment.items():
                monkeypatch.setenv(name, value)
            there = answers(folder, "there", "--on", "ray", "--ray-address", cluster.address, "--with", "memory_gb=0.3")
            assert there == here
    except NoEngineError as error:
        pytest.skip(str(error))
