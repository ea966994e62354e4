"""Commands that write outside of runs and stages replace nothing of the user's."""

import json

import pytest

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.ownership import check_file, check_ours
from tests.pipeline.conftest import shard

TEXTS = [f"The river runs down from the hills, and nobody counts the {n} stones in it." for n in range(6)]
MINE = "mine, and there is no copy"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with shards, examples, and files of the user's."""
    monkeypatch.chdir(tmp_path)
    shard(tmp_path / "in" / "a.parquet", TEXTS)
    shard(tmp_path / "other" / "a.parquet", TEXTS[:3])
    for name, word in (("good", "gold"), ("bad", "mud")):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": f"{word} {n} {word}"}) + "\n" for n in range(30)))
    (tmp_path / "notes").mkdir()
    for name in ("notes/notes.md", "model.bin", "diary.doc"):
        (tmp_path / name).write_text(MINE)
    return tmp_path


TRAIN = ["train", "--positive", "good.jsonl", "--negative", "bad.jsonl", "--set", "dim=2", "bucket=100", "epoch=1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*TRAIN, "--out", "notes"], "notes holds files that goldwash did not write (notes.md)"),
        ([*TRAIN, "--out", "model.bin"], "model.bin is a file: --out names a folder"),
        (["sample", "notes"], "notes holds files that goldwash did not write (notes.md)"),
        (["export", "in", "--out", "in"], "--out in is the same as the input in"),
        (["export", "in", "--out", "in/out"], "--out in/out is inside the input in"),
        (["export", "in/a.parquet", "--out", "in"], "--out in is a folder above the input in/a.parquet"),
        (["fold", "model.bin", "--out", "diary.doc"], "--out diary.doc is there already, and is no .fold file"),
        (["fold", "model.bin", "--out", "model.bin"], "--out model.bin is the input model.bin"),
        (["fold", "model.bin", "--out", "notes"], "--out notes is a folder: expected a file, such as notes/NAME.fold"),
        (["train-tokenizer", "--input", "in", "--out", "diary.doc"], "diary.doc is there already, and is no .json file"),
        (["train-tokenizer", "--input", "good.jsonl", "--out", "good.jsonl"], "--out good.jsonl is the input good.jsonl"),
        (["pagerank", "--input", "in", "--out", "diary.doc"], "diary.doc is there already, and is no .txt or .tsv or .gz file"),
        (["report", "notes", "--out", "diary.doc"], "diary.doc is there already, and is no .html file"),
        (["disclose", "notes", "--out", "notes"], "notes holds files that goldwash did not write (notes.md)"),
    ],
)
def test_nothing_of_the_users_is_replaced(cli, here, words, message):
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    code, _, error = cli(*words)
    assert code == 1
    assert message in error
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_stages_folder_is_none_for_a_model(cli, here):
    assert cli("stage", "exact", "--input", "in", "--out", "stage", "--workers", "1")[0] == 0
    code, _, error = cli(*TRAIN, "--out", "stage")
    assert code == 1
    assert "stage holds the output of another command (stage.json): give a new or empty folder" in error


def test_a_model_is_trained_again_into_its_own_folder(cli, here):
    assert cli(*TRAIN, "--out", "model")[0] == 0
    assert cli(*TRAIN, "--out", "model")[0] == 0
    assert cli("fold", "model/model.bin", "--out", "again.fold")[0] == 0
    assert cli("fold", "model/model.bin", "--out", "again.fold")[0] == 0


def test_the_folder_of_an_export_is_an_input(cli, here):
    assert cli("export", "in", "--out", "out", "--format", "jsonl")[0] == 0
    assert cli("stage", "exact", "--input", "out", "--out", "exact", "--workers", "1")[0] == 0
    assert json.loads((here / "exact" / "report.json").read_text())["report"]["read"]["documents"] == 6


def test_files_and_folders_that_are_new(tmp_path):
    check_file(str(tmp_path / "new.json"), (".json",), [str(tmp_path / "in")])
    check_ours(str(tmp_path / "new"), ("mark",), ("other",))
    (tmp_path / "old.JSON").write_text("{}")
    check_file(str(tmp_path / "old.JSON"), (".json",))
    with pytest.raises(DataError, match="is the input"):
        check_file(f"{tmp_path}/../{tmp_path.name}/old.JSON", (".json",), [str(tmp_path / "old.JSON")])


def test_files_of_an_older_export_are_named(cli, here):
    shard(here / "in" / "b.parquet", TEXTS)
    assert "warning" not in cli("export", "in", "--out", "out")[2]
    (here / "out" / "README.md").write_text(MINE)
    assert "warning" not in cli("export", "in", "--out", "out")[2]
    code, _, told = cli("export", "other", "--out", "out")
    assert code == 0
    assert "warning: out holds 1 files that this export did not write (shard_00000001_processed.jsonl.zst)" in told
