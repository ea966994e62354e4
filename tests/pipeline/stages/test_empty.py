"""Empty batches, shards and inputs pass every stage and every step, with the columns that a full one has."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.filters.signals import EDITS
from goldwash.pipeline.flow import Options, run_stage
from goldwash.pipeline.inspect.live import PASSES
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.inputs import find_shards
from tests.pipeline.conftest import here, rows, shard

TEXT = "The river bent here and slowed, and in the gravel of the bend the miners found what they had come for. " * 20
PARAMETERS: dict[str, Any] = {
    "decontaminate": {"benchmarks": "sample"},
    "quality": {"model": "signal:word_count"},
    "mix": {"bytes": "all"},
    "score": {"models": {"words": "signal:word_count"}},
}
"""Parameters without which a stage would fetch or train something."""
TEXT_STAGES = [name for name, kind in STAGES.items() if not kind.makes_documents]


def ran(stage: Any, folder: Path, out: Path) -> pa.Schema:
    run_stage(stage, find_shards([str(folder)]), str(out), here, options=Options(allow_empty=True))
    schemas = [pq.read_schema(file) for file in sorted(out.glob("part-*.parquet"))]
    assert all(schema.equals(schemas[0]) for schema in schemas)
    return schemas[0]


@pytest.mark.parametrize("name", TEXT_STAGES)
@pytest.mark.parametrize("texts", [[[], [TEXT]], [[TEXT], [], [TEXT]], [[TEXT], []], [[""], [TEXT]], [["", ""]]])
def test_empty_shards_pass_every_stage(tmp_path, name, texts):
    """The first, a middle and the last shard have no document, or only empty ones."""
    recipe = load("baseline")
    config = recipe.stage(name).config() if name in [stage.name for stage in recipe.stages] else {}
    stage = STAGES[name].of({**STAGES[name].alone(config), **PARAMETERS.get(name, {})})
    for n, some in enumerate(texts):
        shard(tmp_path / "in" / f"{n}.parquet", some)
    schema = ran(stage, tmp_path / "in", tmp_path / "out")
    assert {file.name.partition(".")[0].rstrip("-0123456789") for file in (tmp_path / "out" / "tasks").iterdir()} <= set(PASSES)
    shard(tmp_path / "full" / "0.parquet", [TEXT])
    assert schema.equals(ran(stage, tmp_path / "full", tmp_path / "full-out"))
    read = sum(map(len, texts))
    assert len(rows(tmp_path / "out")) + len(rows(tmp_path / "out", "dropped")) == read


DROP_ALL: list[dict[str, Any]] = [
    {"keep": "word_count", "min": 10**9},
    {"keep": "url_word_count", "phrases": ["nothing"], "min": 1},
    {"keep_lines": "word_count", "min": 10**9},
    {"keep": "column", "name": "id", "among": ["nobody"]},
]
AFTER: list[dict[str, Any]] = [
    {"label": "language"},
    {"keep": "language", "among": ["en"], "sure": 0.5},
    {"keep": "language_probability", "min": 0.5},
    {"mark": "word_count"},
    {"keep": "character_count", "min": 1},
    {"edit": "squeeze_newlines"},
    {"edit": "remove_citations"},
    {"edit": "delete_phrase", "phrase": "Read more"},
    {"edit": "remove_urls"},
    {"edit": "mask_personal_data"},
    {"keep_lost": "word_count", "max": 0.5},
]


def test_the_steps_name_every_edit():
    assert {step["edit"] for step in AFTER if "edit" in step} == set(EDITS)


@pytest.mark.parametrize("annotate", [False, True])
@pytest.mark.parametrize("at", range(len(AFTER) + 1))
@pytest.mark.parametrize("drop", DROP_ALL, ids=lambda step: next(iter(step.values())))
def test_a_batch_that_is_emptied_before_any_step_has_all_columns(tmp_path, at, drop, annotate):
    if annotate and drop.get("keep") == "column":
        pytest.skip("a keep on a column of strings measures nothing")
    steps = [*AFTER[:at], {**drop, "as": "all"}, *AFTER[at:]]
    stage = STAGES["heuristics"].of({"steps": steps, "annotate": annotate})
    shard(tmp_path / "in" / "0.parquet", [TEXT, TEXT])
    out = tmp_path / "out"
    schema = ran(stage, tmp_path / "in", out)
    assert {"language", "language_probability"} <= set(schema.names)
    assert schema.field("language_probability").type == pa.float64()
    assert len(rows(out)) == (2 if annotate else 0)


@pytest.mark.parametrize(
    "content", [b"", b"\n\n \n", gzip.compress(b""), b"\xef\xbb\xbf"], ids=["empty", "blank", "gzip", "mark"]
)
@pytest.mark.parametrize("stage", ["exact", "heuristics"])
def test_a_text_file_without_a_document_is_named(cli, tmp_path, stage, content):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "gold in the river"}\n')
    (tmp_path / "in" / "b.jsonl").write_bytes(content)
    words = ["--recipe", "sample", "--workers", "1"] + (["--annotate"] if stage == "heuristics" else [])
    code, _, told = cli("stage", stage, "--input", tmp_path / "in", "--out", tmp_path / "out", *words)
    assert code == 0
    assert f"input without a document: {tmp_path}/in/b.jsonl" in told
    facts = json.loads((tmp_path / "out" / "report.json").read_text())["facts"]
    assert facts["without_documents"] == [f"{tmp_path}/in/b.jsonl"]
    assert "input without a document" in "".join(map(str, cli("status", tmp_path / "out")))
