"""Shards without a document, first, in the middle and last, through the stages that compare documents."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.stages.bloom import Bloom
from goldwash.pipeline.stages.decontaminate import Decontaminate
from goldwash.pipeline.stages.exact import Exact
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage.tables import DROPPED
from tests.pipeline.conftest import here, rows, shard

STAGES = {
    "exact": lambda _: Exact(by=("text", "url")),
    "minhash": lambda _: MinHash(check=0.7),
    "bloom": lambda _: Bloom(short_documents=True),
    "bloom in groups": lambda _: Bloom(groups=2),
    "drop": lambda quiz: Decontaminate(benchmarks=(quiz,), max_documents=3),
    "annotate": lambda quiz: Decontaminate(benchmarks=(quiz,), action="annotate"),
    "delete": lambda quiz: Decontaminate(benchmarks=(quiz,), action="delete"),
}
SHARDS = [[[], ["a b c"], ["d"]], [["a b c"], [], ["d"]], [["a b c"], ["d"], []], [[], [], ["", "a"]]]


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("name", STAGES)
def test_empty_shards_have_the_columns_of_the_others(name, shards, tmp_path):
    quiz = tmp_path / "quiz.jsonl"
    quiz.write_text(json.dumps({"question": "Who pans the gold of the river?", "choices": ["she", "he"]}))
    inputs = [shard(tmp_path / "in" / f"{n}.parquet", texts) for n, texts in enumerate(shards)]
    STAGES[name](str(quiz))(inputs, str(tmp_path / "out"), here)
    files = sorted((tmp_path / "out").glob("part-*.parquet"))
    schemas = [pq.read_schema(file) for file in files]
    assert len(files) == len(shards)
    assert all(schema.equals(schemas[0]) for schema in schemas)
    assert schemas[0].field("text").type == pa.large_string()
    assert not any(pa.types.is_null(field.type) for field in schemas[0])
    assert all(pq.read_schema(file).equals(DROPPED) for file in (tmp_path / "out" / "dropped").glob("*.parquet"))
    assert len(rows(tmp_path / "out")) == sum(map(len, shards))
