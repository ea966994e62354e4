"""Large Parquet files as ranges of row groups: the same documents, and nothing else is divided."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.storage import division
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.source import Input


def read(source: Input) -> pa.Table:
    return pa.concat_tables(read_batches(source))


def test_a_large_file_is_divided_by_row_groups_with_the_same_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    rng = np.random.default_rng(0)
    texts = [rng.bytes(300).hex() for _ in range(1000)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=70)
    whole = read(find_shards([str(path)])[0])
    monkeypatch.setattr(division, "SPLIT_BYTES", path.stat().st_size // 4)
    parts = find_shards([str(path)])
    assert 3 <= len(parts) <= 5
    assert len({str(part.identity()) for part in parts}) == len(parts)
    assert pa.concat_tables(map(read, parts)) == whole
    assert sum(part.rows or 0 for part in parts) == 1000
    assert [Input(**json.loads(json.dumps(part.to_dict()))) for part in parts] == parts


def test_large_files_alone_are_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": list(map(str, range(100)))}), path)
    monkeypatch.setattr(division, "SPLIT_BYTES", 10)
    assert find_shards([str(path)])[0].groups is None  # one row group cannot be divided
    (tmp_path / "b.jsonl").write_text('{"text": "gold"}\n' * 10)
    assert find_shards([str(tmp_path / "b.jsonl")])[0].groups is None
