"""Publishing: the user's files stay, broken shards are not published, a publication that was killed is finished."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline import dataset, flow
from goldwash.pipeline.dataset import CARD, REPORT, UNFINISHED, publish
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.recipe import load, unresolved
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.tokenization.tokenizers import MODELS, TokenizerError
from tests.pipeline.conftest import shard
from tests.pipeline.stages.test_mix import Killed, stopping

LEFT_OUT = ["extract", "minhash", "bloom", "quality", "decontaminate"]
RECIPE = load("sample", ["dataset.shard_bytes=1000"], LEFT_OUT)
"""Its shards are of the size of those of these tests, so that they are linked."""
REPORTS = [{"report": {"read": {}, "kept": {}}, "facts": {}, "notes": ["the classifier is a toy"]}]


def digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def shards(folder: Path, *names: str) -> list[Input]:
    made = [shard(folder / f"{name}.parquet", [name]) for name in names]
    return [Input(i.path, i.bytes, digest(Path(i.path)), i.rows) for i in made]


def content(run: Path) -> dict[str, list[str]]:
    files = sorted((run / "dataset").glob("part-*.parquet"))
    return {file.name: pq.read_table(file)["text"].to_pylist() for file in files}


def test_it_holds_shards_and_names_that_parquet_readers_pass_over(tmp_path):
    publish(RECIPE, shards(tmp_path / "s", "a", "b"), REPORTS, str(tmp_path))
    assert content(tmp_path) == {"part-00000.parquet": ["a"], "part-00001.parquet": ["b"]}
    assert {p.name for p in (tmp_path / "dataset").iterdir() if p.name[0] not in "._"} == set(content(tmp_path))
    assert pq.read_table(tmp_path / "dataset").num_rows == 2
    report = json.loads((tmp_path / "dataset" / REPORT).read_text())
    assert report["notes"] == ["the classifier is a toy"]
    assert {i.sha256 for i in find_shards([str(tmp_path / "dataset")])} == {s["sha256"] for s in report["shards"].values()}


def test_a_second_one_replaces_goldwashs_files_and_no_others(tmp_path):
    publish(RECIPE, shards(tmp_path / "s", "a", "b"), REPORTS, str(tmp_path))
    (tmp_path / "dataset" / "README.md").write_text("mine")
    (tmp_path / "dataset" / "part-mine.parquet").write_text("mine")
    publish(RECIPE, shards(tmp_path / "t", "c"), REPORTS, str(tmp_path))
    names = {p.name for p in (tmp_path / "dataset").iterdir()}
    described = {"_README.md", "_croissant.json", ".huggingface.yaml", "_recipe.yaml", REPORT}
    assert names == {"README.md", "part-mine.parquet", "part-00000.parquet", *described}
    assert pq.read_table(tmp_path / "dataset" / "part-00000.parquet")["text"].to_pylist() == ["c"]


@pytest.mark.parametrize("name", ["thesis.txt", "part-00000.parquet", "report.txt"])
def test_a_folder_of_the_users_is_refused(tmp_path, name):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / name).write_text("mine")
    with pytest.raises(DataError, match=f"files that goldwash did not write \\({name}\\)"):
        publish(RECIPE, shards(tmp_path / "s", "a"), REPORTS, str(tmp_path))
    assert (tmp_path / "dataset" / name).read_text() == "mine"


def test_a_flipped_bit_is_not_published(tmp_path):
    made = shards(tmp_path / "s", "a", "b")
    file = Path(made[1].path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"b\.parquet is not what it was .* set aside as .*b\.parquet\.broken: run again"):
        publish(RECIPE, made, REPORTS, str(tmp_path))
    assert not (tmp_path / "dataset").exists()
    assert not file.exists()


SMALL = load("sample", [], LEFT_OUT)
SHUFFLED = load("sample", ["dataset.order=shuffled", "dataset.shard_bytes=600"], LEFT_OUT)


def test_small_shards_become_one_in_their_order_and_nothing_is_left_over(tmp_path):
    made = shards(tmp_path / "s", *"abcdefgh")
    publish(SMALL, made, REPORTS, str(tmp_path))
    assert content(tmp_path) == {"part-00000.parquet": list("abcdefgh")}
    assert {path.name for path in tmp_path.iterdir()} == {"s", "dataset"}
    report = json.loads((tmp_path / "dataset" / REPORT).read_text())
    assert report["shards"]["part-00000.parquet"]["sha256"] == digest(tmp_path / "dataset" / "part-00000.parquet")
    before = (tmp_path / "dataset" / "part-00000.parquet").stat().st_mtime_ns
    publish(SMALL, made, REPORTS, str(tmp_path), run=None)
    assert (tmp_path / "dataset" / "part-00000.parquet").stat().st_mtime_ns == before
    publish(SMALL, made[:3], REPORTS, str(tmp_path))
    assert content(tmp_path) == {"part-00000.parquet": list("abc")}


def test_a_recipe_says_how_the_dataset_is_packed(tmp_path):
    made = shards(tmp_path / "s", *"abcdefghijklmnopqrstuvwxyz")
    publish(SHUFFLED, made, REPORTS, str(tmp_path))
    found = content(tmp_path)
    texts = [text for each in found.values() for text in each]
    assert len(found) > 1
    assert sorted(texts) == list("abcdefghijklmnopqrstuvwxyz")
    assert texts != sorted(texts)
    assert unresolved("sample", SHUFFLED.resolved()).packing == {"order": "shuffled", "shard_bytes": 600}
    with pytest.raises(RecipeError, match=r"dataset has no parameter 'ordre': did you mean 'order'"):
        load("sample", ["dataset.ordre=shuffled"])
    with pytest.raises(RecipeError, match="expected one of 'crawl', 'shuffled'"):
        load("sample", ["dataset.order=random"])


def test_with_a_tokenizer_the_dataset_its_report_and_its_card_say_how_many_tokens(tmp_path):
    recipe = load("sample", ["dataset.tokenizer=goldwash"], LEFT_OUT)
    made = shards(tmp_path / "s", "gold", "gold in the river")
    publish(recipe, made, REPORTS, str(tmp_path))
    counts = pq.read_table(tmp_path / "dataset")["token_count"].to_pylist()
    report = json.loads((tmp_path / "dataset" / REPORT).read_text())
    assert report["tokens"] == {"tokenizer": "goldwash", "sha256": digest(MODELS / "goldwash.json"), "count": sum(counts)}
    assert 0 < counts[0] < counts[1]
    assert f"({sum(counts)} tokens of `goldwash`, in `token_count` per document)" in (tmp_path / "dataset" / CARD).read_text()
    before = (tmp_path / "dataset" / "part-00000.parquet").stat().st_mtime_ns
    publish(recipe, made, REPORTS, str(tmp_path))
    assert (tmp_path / "dataset" / "part-00000.parquet").stat().st_mtime_ns == before
    publish(SMALL, made, REPORTS, str(tmp_path))
    assert "token_count" not in pq.read_schema(tmp_path / "dataset" / "part-00000.parquet").names
    assert "tokens" not in json.loads((tmp_path / "dataset" / REPORT).read_text())


def test_a_tokenizer_that_is_none_is_refused_before_the_first_stage(tmp_path):
    shard(tmp_path / "a.parquet", ["gold"])
    recipe = load("sample", ["dataset.tokenizer=gpt9"], LEFT_OUT)
    with pytest.raises(TokenizerError, match="no tokenizer is called 'gpt9'"):
        flow.checked(recipe, [str(tmp_path / "a.parquet")], str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    flow.checked(recipe, [str(tmp_path / "a.parquet")], str(tmp_path / "run"), until="heuristics")


def test_a_packing_that_was_killed_is_finished(tmp_path):
    made = shards(tmp_path / "s", *"abcdefgh")
    for after in range(2):
        with pytest.raises(Killed):
            publish(SMALL, made, REPORTS, str(tmp_path), stopping(after))
        assert not (tmp_path / "dataset").exists()
    publish(SMALL, made, REPORTS, str(tmp_path))
    assert content(tmp_path) == {"part-00000.parquet": list("abcdefgh")}
    assert {path.name for path in tmp_path.iterdir()} == {"s", "dataset"}


def test_shards_whose_columns_cannot_be_joined_are_linked_with_a_note(tmp_path):
    made = [shard(tmp_path / f"{n}.parquet", ["x"], worth=worth) for n, worth in enumerate(([1], ["much"]))]
    publish(SMALL, made, REPORTS, str(tmp_path))
    assert len(content(tmp_path)) == 2
    notes = json.loads((tmp_path / "dataset" / REPORT).read_text())["notes"]
    assert any("column worth is int64" in note for note in notes)
    assert not list(tmp_path.glob("pack-*"))


def test_tables_that_are_no_documents_are_linked(tmp_path):
    made = []
    for n in range(2):
        pq.write_table(pa.table({"host": ["a.example"]}), tmp_path / f"{n}.parquet")
        path = tmp_path / f"{n}.parquet"
        made.append(Input(str(path), path.stat().st_size, digest(path), 1))
    publish(SMALL, made, REPORTS, str(tmp_path))
    assert len(list((tmp_path / "dataset").glob("part-*.parquet"))) == 2


@pytest.mark.parametrize("moment", ["_remove", "_put", "write_text"])
def test_one_that_was_killed_is_finished(tmp_path, monkeypatch, moment):
    publish(RECIPE, shards(tmp_path / "s", "a", "b"), REPORTS, str(tmp_path))
    new = shards(tmp_path / "t", "c")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dataset, moment, killed)
        with pytest.raises(KeyboardInterrupt):
            publish(RECIPE, new, REPORTS, str(tmp_path))
    assert (tmp_path / "dataset" / UNFINISHED).exists()
    publish(RECIPE, new, REPORTS, str(tmp_path))
    assert content(tmp_path) == {"part-00000.parquet": ["c"]}
    assert not (tmp_path / "dataset" / UNFINISHED).exists()
