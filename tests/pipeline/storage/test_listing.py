"""Files of a folder or a glob: which are data, in which order, and what is refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives, find_shards


def parquet(path: Path, *texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": list(texts or ("gold",))}), path)
    return path


@pytest.mark.parametrize(
    "hidden",
    [
        ".snapshot/hourly.0/a.parquet",
        "_temporary/0/a.parquet",
        "_a.parquet",
        ".a.parquet",
        "x/_old/a.parquet",
        ".half-1.parquet",
    ],
)
def test_hidden_files_and_folders_are_not_data(tmp_path, hidden):
    for place in ("a.parquet", "x/b.parquet", hidden):
        parquet(tmp_path / place)
    for name in (str(tmp_path), f"{tmp_path}/**/*.parquet", f"{tmp_path}/**"):
        assert [i.name for i in find_shards([name]) if not i.path.endswith(hidden)] == ["a.parquet", "x/b.parquet"]
        assert len(find_shards([name])) == 2
    assert len(find_shards([str(tmp_path / hidden)])) == 1  # named by itself


def test_links_to_folders_are_followed_and_a_circle_ends(tmp_path):
    parquet(tmp_path / "elsewhere" / "b.parquet")
    parquet(tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "linked" / "circle").symlink_to(tmp_path / "in")
    assert [i.name for i in find_shards([str(tmp_path / "in")])] == ["a.parquet", "linked/b.parquet"]


@pytest.mark.parametrize("name", ["{0}/*", "{0}/s*", "{0}/[s]ub"])
def test_a_glob_leaves_no_folder_out(tmp_path, name):
    parquet(tmp_path / "a.parquet", "a")
    parquet(tmp_path / "sub" / "deep" / "b.parquet", "b")
    with pytest.raises(DataError, match=r"matches the folder .*sub, which holds deep/b\.parquet: .* as .*/\*\.parquet"):
        find_shards([name.format(tmp_path)])
    (tmp_path / "sub" / "deep" / "b.parquet").unlink()
    parquet(tmp_path / "sub" / "_hidden" / "b.parquet", "b")
    if name == "{0}/*":
        assert len(find_shards([name.format(tmp_path)])) == 1


def test_a_glob_of_archives_leaves_no_folder_out(tmp_path):
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.warc.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"matches the folder .*crawl, which holds a\.warc\.gz: name the folder itself"):
        find_archives([f"{tmp_path}/*"])


@pytest.mark.parametrize("name", ["crawl[2024]", "a*b", "what?", "[", "x[1"])
def test_a_name_that_is_there_is_no_glob(tmp_path, name):
    parquet(tmp_path / name / "a.parquet")
    assert len(find_shards([str(tmp_path / name)])) == 1
    assert len(find_shards([str(tmp_path / name / "a.parquet")])) == 1
    archive = tmp_path / f"{name}.warc.gz"
    archive.write_bytes(b"x")
    assert [i.path for i in find_archives([str(archive)])] == [str(archive)]
