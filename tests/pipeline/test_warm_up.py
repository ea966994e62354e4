"""What a stage compiles beforehand is all that its workers call: a form that is left out would be compiled by each of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from goldwash.filters.jit import INTERPRETED

SCRIPT = """
import gc, json, sys
from numba.core.dispatcher import Dispatcher
import goldwash.pipeline.stage as stages
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.inputs import find_archives, find_shards

def forms():
    found = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
    return {f"{each.py_func.__module__}.{each.py_func.__qualname__}": len(each.signatures) for each in found}

new = {}

def run(work, tasks):
    before = forms()
    for task in tasks:
        work(task)
    new.update({name: work.__name__ for name, count in forms().items() if count != before.get(name, 0)})
    return stages.reports_of(tasks)

recipe, name, more, out, *inputs = sys.argv[1:]
stages.compile_kernels = lambda *args: None
config = load(recipe).stage(name).whole().config() if recipe else {}
stage = STAGES[name].of({**config, **json.loads(more)})
stage.warm_up()
report = stage((find_archives if name == "extract" else find_shards)(inputs), out, run)
print(json.dumps({"read": report.read.documents, "kept": report.kept.documents, "new": new}))
"""
"""Counts a kernel's forms, not compilations: machine code that an earlier test left on the disk is a form as well."""

SAMPLE = {"benchmarks": ["sample"]}


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
@pytest.mark.parametrize(
    ("recipe", "name", "config", "before"),
    [
        ("baseline", "extract", {}, None), ("reference", "extract", {}, None), 
        ("baseline", "extract", {"form": "markdown"}, None),
        ("baseline", "heuristics", {}, "extract"), ("reference", "heuristics", {}, "extract"),
        ("fineweb", "heuristics", {}, "extract"), ("gopher", "heuristics", {}, "extract"),
        ("baseline", "minhash", {}, "heuristics"), ("", "minhash", {"check": 0.5}, "heuristics"),
        ("", "exact", {}, "heuristics"), ("", "exact", {"by": ["text", "url"]}, "heuristics"),
        ("baseline", "bloom", {}, "heuristics"), ("", "bloom", {"mode": "lines"}, "heuristics"),
        ("", "bloom", {"mode": "documents"}, "heuristics"),
        ("", "quality", {}, "bloom"), ("", "decontaminate", SAMPLE, "extract"),
        ("", "tokenize", {"weights": {"web": 1.0}, "source": "web", "sequence_length": 64}, "quality"),
    ],
)  # fmt: skip
def test_workers_need_no_form_of_a_kernel_that_warm_up_did_not_compile(
    recipe: str, name: str, config: dict[str, Any], before: str | None, sample: Path, sample_run: Path, tmp_path: Path
) -> None:
    inputs = next(sample_run.glob(f"*-{before}-*")) if before else sample / "crawl"
    command = [sys.executable, "-c", SCRIPT, recipe, name, json.dumps(config), str(tmp_path / "out"), str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["new"] == {}, found["new"]
    assert found["kept"] > 0
