"""Nothing of the user's is overwritten: foreign folders, outputs that are inputs."""

import pytest

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.ownership import check_apart, check_ours


@pytest.mark.parametrize("content", [[], [".goldwash-lock"], [".half-abc"], ["stage.json", "thesis.txt"]])
def test_new_empty_and_marked_folders_are_goldwashs(tmp_path, content):
    for name in content:
        (tmp_path / name).write_text("x")
    check_ours(str(tmp_path), ("stage.json",))
    check_ours(str(tmp_path / "new"), ("stage.json",))


@pytest.mark.parametrize("content", [["thesis.txt"], ["part-00000.parquet"], ["run.json"], ["a", "b", "c", "d"]])
def test_foreign_folders_are_refused_by_name(tmp_path, content):
    for name in content:
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=rf"holds files that goldwash did not write \({content[0]}.*new or empty folder"):
        check_ours(str(tmp_path), ("stage.json",))


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(DataError, match="is a file: --out names a folder"):
        check_ours(str(tmp_path / "out"), ("stage.json",))


@pytest.mark.parametrize(
    ("out", "name", "why"),
    [
        ("in", "in", "the same as"),
        ("in/", "in", "the same as"),
        ("in/../in", "in", "the same as"),
        ("in/out", "in", "inside"),
        ("in/a/b", "in", "inside"),
        ("link/out", "in", "inside"),
        (".", "in", "a folder above"),
        ("in", "in/a.parquet", "a folder above"),
    ],
)
def test_an_output_is_apart_from_its_inputs(tmp_path, monkeypatch, out, name, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.parquet").write_text("x")
    (tmp_path / "link").symlink_to("in")
    with pytest.raises(DataError, match=f"is {why} the input"):
        check_apart(out, [name], ["in/a.parquet"])


@pytest.mark.parametrize(
    ("out", "name", "files"),
    [
        ("out", "in", ["in/a.parquet"]),
        ("in/out", "in/*.parquet", ["in/a.parquet"]),
        ("inside", "in", ["in/a.parquet"]),
        ("s3://b/out", "s3://b/in", ["s3://b/in/a.parquet"]),
        ("out", "https://a.example/crawl/warc.paths", ["https://a.example/crawl/a.warc.gz"]),
    ],
)
def test_neighbours_are_apart(tmp_path, monkeypatch, out, name, files):
    monkeypatch.chdir(tmp_path)
    check_apart(out, [name], files)


def test_folders_in_a_store_are_compared_too():
    with pytest.raises(DataError, match="inside the input"):
        check_apart("s3://b/in/out", ["s3://b/in"], [])
    with pytest.raises(DataError, match="a folder above"):
        check_apart("s3://b", [], ["s3://b/in/a.parquet"])
