"""Stages of several passes check a shard's texts for UTF-8 in the first, and kernels rely on it in all."""

import numpy as np
import pyarrow as pa
import pytest

from goldwash.filters import texts
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.stage import RunError
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.source import Input

CONFIGS = {
    "exact": {},
    "minhash": {"check": 0.7},
    "bloom": {},
    "quality": {"model": "signal:word_count", "fraction": 0.5},
}
DOCUMENTS = [f"a text with the number {n // 2} and some other words in it" for n in range(8)]


def shard(place, values: list[bytes]) -> Input:
    """A shard as a stage of goldwash leaves it, its digest known."""
    offsets = np.cumsum([0, *map(len, values)])
    column = pa.Array.from_buffers(
        pa.large_string(), len(values), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(values))]
    )
    ids = pa.array([f"id {n}" for n in range(len(values))])
    table = pa.table({"id": ids, "url": pa.array(["http://a.example/"] * len(values)), "text": column})
    writer = ShardWriter(str(place), table.schema)
    writer.write(table)
    facts = writer.commit()
    return Input(str(place), facts["bytes"], facts["sha256"], facts["rows"])


@pytest.mark.parametrize("name", CONFIGS)
def test_the_first_pass_refuses_what_is_not_utf8(name, tmp_path):
    values = [text.encode() for text in DOCUMENTS]
    source = shard(tmp_path / "a.parquet", [*values, b"gold \xe9 of Latin-1"])
    with pytest.raises(RunError, match=r"a\.parquet, column text, .*invalid UTF-8"):
        STAGES[name].of(CONFIGS[name])([source], str(tmp_path / "out"), local(1))


@pytest.mark.parametrize("name", CONFIGS)
def test_no_later_pass_checks_again(name, tmp_path, monkeypatch):
    source, checked, check = shard(tmp_path / "a.parquet", [text.encode() for text in DOCUMENTS]), [], texts._check_utf8
    ours = {text.encode() for text in DOCUMENTS}
    monkeypatch.setattr(texts, "_check_utf8", lambda column: (checked.append(column), check(column)))
    STAGES[name].of(CONFIGS[name])([source], str(tmp_path / "out"), local(1))
    assert sum(value.encode() in ours for column in checked for value in column.to_pylist()) == len(DOCUMENTS)
