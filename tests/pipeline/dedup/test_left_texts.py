"""minhash and exact with ``copy_text: false``: the same documents, drops and counts, and texts that are found again."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from goldwash.pipeline.stages.exact import Exact
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import shard_of_texts
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.source import Input
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.dedup.test_passes import NEAR_A, NEARER_A, A, B, C

CORPUS = [[A, B, "x", NEAR_A, ""], [], [C, A, "a few words of its own"], [NEARER_A, "", B]]
SCORES = [[0.1, 0.5, None, 0.9, 0.2], [], [0.3, float("nan"), 0.4], [0.8, 0.1, 0.6]]


def stage_shards_of(run: Path, texts: Sequence[Sequence[str]]) -> list[Input]:
    """Shards as a stage of a run wrote them."""
    found = []
    for n, (some, scores) in enumerate(zip(texts, SCORES, strict=True)):
        made = shard(run / "in" / f"{n}.parquet", some, worth=pa.array(scores, pa.float64()))
        writer = ShardWriter(str(run / "01-before" / f"part-{n:05d}.parquet"), schema_of(made), group_rows=2)
        for table in read_batches(made):
            writer.write(table)
        facts = writer.commit()
        found.append(Input(writer.location, facts["bytes"], facts["sha256"], facts["rows"]))
    return found


def documents_of(shards: Sequence[Input]) -> list[dict[str, object]]:
    return [row for source in shards for table in read_batches(source) for row in table.to_pylist()]


@pytest.mark.parametrize("keep", ["longest", "first", "best"])
@pytest.mark.parametrize(
    "stage",
    [MinHash(score="worth"), MinHash(check=0.7, score="worth", max_text_bytes=len(A)), Exact(score="worth", max_text_bytes=20)],
    ids=["minhash", "checked", "exact"],
)
def test_a_stage_that_leaves_the_texts_keeps_drops_and_counts_the_same(tmp_path, stage, keep):
    inputs = stage_shards_of(tmp_path, CORPUS)
    stage = dataclasses.replace(stage, keep=keep)
    copied, left = tmp_path / "02-copied", tmp_path / "02-left"
    reports = [stage(inputs, str(copied), here), dataclasses.replace(stage, copy_text=False)(inputs, str(left), here)]
    assert reports[0] == reports[1]
    assert sum(count.documents for count in reports[0].dropped.values())
    assert rows(copied, "dropped") == rows(left, "dropped")
    assert documents_of(find_shards([str(copied)])) == documents_of(find_shards([str(left)])) == rows(copied)
    assert all("text" not in row for row in rows(left))
    facts = [json.loads((folder / "report.json").read_text())["facts"] for folder in (copied, left)]
    assert facts[0] == facts[1]


def test_texts_that_would_not_be_found_again_are_not_left(tmp_path):
    exact = Exact(copy_text=False)
    exact(stage_shards_of(tmp_path / "run", CORPUS), str(tmp_path / "run/02-left"), here)
    (tmp_path / "link").symlink_to(tmp_path / "run/02-left")
    with pytest.raises(DataError, match=r"stage minhash cannot leave texts in .*/run/01-before/part-00000\.parquet"):
        MinHash(copy_text=False)(find_shards([str(tmp_path / "link")]), str(tmp_path / "03-left"), here)


def test_stages_that_leave_texts_one_after_the_other_name_the_shards_that_have_them(tmp_path):
    inputs = stage_shards_of(tmp_path, CORPUS)
    wanted = inputs
    for n, stage in enumerate((Exact(), MinHash(check=0.7)), 2):
        dataclasses.replace(stage, copy_text=False)(inputs, str(tmp_path / f"0{n}-left"), here)
        stage(wanted, str(tmp_path / f"0{n}-copied"), here)
        inputs, wanted = (find_shards([str(tmp_path / f"0{n}-{kind}")]) for kind in ("left", "copied"))
        assert documents_of(inputs) == documents_of(wanted)
    assert {shard_of_texts(source).path for source in inputs} == {str(p) for p in (tmp_path / "01-before").glob("*.parquet")}


def test_the_folder_that_holds_the_texts_is_part_of_the_identity(tmp_path):
    one = stage_shards_of(tmp_path / "run", CORPUS)
    shutil.copytree(tmp_path / "run/01-before", tmp_path / "run/01-other")
    other = [dataclasses.replace(source, path=source.path.replace("01-before", "01-other")) for source in one]
    for stage in (MinHash(), Exact()):
        assert stage.fingerprint(one) == stage.fingerprint(other)
        left = dataclasses.replace(stage, copy_text=False)
        assert left.fingerprint(one) != left.fingerprint(other)
        assert left.fingerprint(one, with_code=False) != left.fingerprint(other, with_code=False)


def test_a_users_own_shards_keep_their_texts_for_themselves_alone(tmp_path):
    with pytest.raises(DataError, match=r"stage exact cannot leave texts in .*0\.parquet.*copy_text: true"):
        Exact(copy_text=False)([shard(tmp_path / "in" / "0.parquet", [A])], str(tmp_path / "out"), here)
