"""Names of inputs: what they mean, in which order, under which names, and what is refused."""

import gzip
import json
import os
import socket
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.flow import fitted
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives, find_shards, kind_of, path_of
from goldwash.pipeline.storage.source import Input, Reading


def parquet(path: Path, *texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": list(texts or ("gold",))}), path)
    return path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def ids(found: list[Input]) -> list[str]:
    return [i for source in found for table in read_batches(source) for i in table["id"].to_pylist()]


# --- what is a file


def test_bytes_in_names_that_are_no_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.parquet")
    os.rename(parquet(tmp_path / "a.parquet"), tmp_path / name)
    (found,) = find_shards([str(tmp_path)])
    assert ids([found]) == ["caf\\xe9.parquet#0"]
    json.dumps(found.to_dict()).encode()
    found.stamp.encode()


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
@pytest.mark.parametrize("find", [find_shards, find_archives])
def test_what_is_no_file_is_refused_and_not_read(tmp_path, kind, find, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    name = "a.parquet" if find is find_shards else "a.warc.gz"
    if kind == "fifo":
        os.mkfifo(name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(name)
    else:
        os.symlink("/dev/zero", name)
    with pytest.raises(DataError, match=r"is a .*: expected a file"):
        find([name])


# --- names, ids and what is there twice


def test_made_up_ids_are_unique_in_a_run_and_the_same_wherever_the_files_are(tmp_path):
    found = {}
    for place in ("one", "two/deeper"):
        for split in ("a", "b"):
            parquet(tmp_path / place / split / "train.parquet", "x", "y")
        found[place] = ids(find_shards([str(tmp_path / place)]))
    assert found["one"] == found["two/deeper"] == [f"{s}/train.parquet#{n}" for s in "ab" for n in (0, 1)]


def test_files_of_one_name_that_are_named_apart_get_their_folders(tmp_path):
    files = [str(parquet(tmp_path / split / "data" / "train.parquet")) for split in ("a", "b")]
    assert ids(find_shards(files)) == ["a/data/train.parquet#0", "b/data/train.parquet#0"]
    assert ids(find_shards([str(tmp_path / "a" / "data"), str(tmp_path / "b" / "data")])) == [
        "a/data/train.parquet#0",
        "b/data/train.parquet#0",
    ]


def test_relative_and_absolute_names_give_the_same(tmp_path, monkeypatch):
    parquet(tmp_path / "in" / "x" / "a.parquet")
    monkeypatch.chdir(tmp_path)
    assert (
        ids(find_shards(["in"]))
        == ids(find_shards([str(tmp_path / "in")]))
        == ids(find_shards(["./in/*/*"]))
        == ["x/a.parquet#0"]
    )


@pytest.mark.parametrize("again", ["{0}/a.parquet", "{0}/../in/a.parquet", "{0}/*.parquet", "{0}", "{0}/link.parquet"])
def test_a_file_that_is_named_twice_is_refused(tmp_path, again):
    parquet(tmp_path / "in" / "a.parquet")
    if "link" in again:
        (tmp_path / "link.parquet").symlink_to(tmp_path / "in" / "a.parquet")
        again = str(tmp_path / "link.parquet")
    with pytest.raises(DataError, match=r"a\.parquet|link\.parquet"):
        find_shards([str(tmp_path / "in" / "a.parquet"), again.format(tmp_path / "in")])


def test_an_archives_name_is_its_path_below_the_folder_that_was_named(tmp_path):
    for place in ("x/a.warc.gz", "y/a.warc.gz"):
        touch(tmp_path / "crawl" / place)
    found = find_archives([str(tmp_path / "crawl")])
    assert [i.name for i in found] == ["x/a.warc.gz", "y/a.warc.gz"]
    assert path_of(found, "y/a.warc.gz") == str(tmp_path / "crawl" / "y" / "a.warc.gz")
    with pytest.raises(DataError, match="no archive of this name"):
        path_of(found, "z/a.warc.gz")


# --- archives or documents


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["a.warc.gz"], "archives"), (["x/a.wet"], "archives"), (["a.parquet"], "documents"),
        (["a.jsonl.zst", "b.jsonl.gz"], "documents"),
        (["a.csv"], "documents"), (["page.html"], "archives"), (["a.warc.gz", "report.jsonl"], "archives"), ([], "archives"),
    ],
)  # fmt: skip
def test_whether_a_folder_holds_archives_or_documents(tmp_path, files, kind):
    (tmp_path / "in").mkdir()
    for file in files:
        touch(tmp_path / "in" / file)
    assert kind_of([str(tmp_path / "in")]) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CC-MAIN-2024-10,limit=3", "archives"), ("lists/warc.paths.gz", "archives"),
        ("https://h.example/a.warc.gz", "archives"),
        ("https://h.example/a.parquet?download=true", "documents"), ("hf://datasets/someone/corpus", "documents"),
    ],
)  # fmt: skip
def test_whether_a_name_means_archives_or_documents(name, kind):
    assert kind_of([name]) == kind


def test_both_kinds_are_refused_by_name(tmp_path):
    touch(tmp_path / "a.warc.gz")
    parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"a\.warc\.gz holds archives and .*b\.parquet documents"):
        kind_of([str(tmp_path / "a.warc.gz"), str(tmp_path / "b.parquet")])
    with pytest.raises(DataError, match="expected one kind"):
        kind_of([str(tmp_path)])


def test_a_recipe_for_documents_leaves_extract_out_and_says_so(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "gold"}\n')
    said: list[str] = []
    recipe = load("sample")
    assert [s.name for s in fitted(recipe, [str(tmp_path)], said.append).stages] == [s.name for s in recipe.stages[1:]]
    assert len(said) == 1
    assert "extract" in said[0]


@pytest.mark.parametrize(("find", "file"), [(find_shards, "a.warc.gz"), (find_archives, "a.jsonl")])
def test_one_kind_in_the_place_of_the_other_is_refused(tmp_path, find, file):
    (tmp_path / file).write_bytes(gzip.compress(b"WARC/1.0\r\n"))
    with pytest.raises(DataError, match=r"is an archive: expected documents|text already: expected an archive"):
        find([str(tmp_path / file)])


def test_a_folder_of_two_formats_is_refused(tmp_path):
    parquet(tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_text('{"text": "gold"}\n')
    with pytest.raises(DataError, match=r"several formats: Parquet \(a\.parquet\), JSON lines \(b\.jsonl\)"):
        find_shards([str(tmp_path)])


def test_json_files_that_describe_a_dataset_are_not_documents(tmp_path):
    parquet(tmp_path / "a.parquet")
    for name in ("dataset_info.json", "notes.json"):
        (tmp_path / name).write_text("{}")
    assert [i.name for i in find_shards([str(tmp_path)])] == ["a.parquet"]


# --- reading options


def test_reading_options_travel_and_change_the_identity(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "gold", "key": "k"}\n')
    reading = Reading("body", "key")
    (source,) = find_shards([str(path)], reading)
    assert Input(**json.loads(json.dumps(source.to_dict()))) == source
    assert ids([source]) == ["k"]
    assert source.identity() != find_shards([str(path)], Reading("body"))[0].identity()
    assert set(find_shards([str(path)])[0].to_dict()) == {"path", "bytes", "stamp", "name"}


# --- the hub, by a stand-in that has its protocol


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """A folder that fsspec takes for the hub."""
    from fsspec.implementations.dirfs import DirFileSystem
    from fsspec.implementations.local import LocalFileSystem

    class Hub(DirFileSystem):
        protocol = "hf"
        cachable = False

        def __init__(self, **_: object) -> None:
            super().__init__(path=str(tmp_path / "hub"), fs=LocalFileSystem())

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path.removeprefix("hf://").rstrip("/")

        def unstrip_protocol(self, name: str) -> str:
            return f"hf://{self._strip_protocol(name)}"

    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "hf", Hub)
    return tmp_path / "hub" / "datasets" / "someone" / "corpus"


def test_a_dataset_of_the_hub_by_its_name(hub):
    parquet(hub / "data" / "train-00000-of-00002.parquet", "a")
    parquet(hub / "data" / "train-00001-of-00002.parquet", "b")
    touch(hub / "README.md")
    found = find_shards(["hf://datasets/someone/corpus"])
    assert [i.path for i in found] == [f"hf://datasets/someone/corpus/data/train-0000{n}-of-00002.parquet" for n in (0, 1)]
    assert ids(found) == [f"data/train-0000{n}-of-00002.parquet#0" for n in (0, 1)]
    assert kind_of(["hf://datasets/someone/corpus"]) == "documents"


def test_a_dataset_with_several_splits_is_named_with_one(hub):
    for split in ("train", "test"):
        parquet(hub / "data" / f"{split}-00000-of-00001.parquet", split)
    with pytest.raises(
        DataError, match=r"has the splits test, train: name the files that are meant, as one of hf://.*test-00000"
    ):
        find_shards(["hf://datasets/someone/corpus"])
    assert len(find_shards(["hf://datasets/someone/corpus/data/train-*.parquet"])) == 1
    assert len(find_shards(["hf://datasets/someone/corpus/data/test-00000-of-00001.parquet"])) == 1


@pytest.mark.parametrize("name", ["hf://someone/model/model.bin", "hf://datasets/someone", "hf://datasets/someone/nothing"])
def test_names_of_the_hub_that_mean_no_dataset(hub, name):
    hub.mkdir(parents=True)
    with pytest.raises(DataError, match=r"expected hf://datasets/OWNER/NAME|no documents there"):
        find_shards([name])
