"""Names of crawls and lists of archives. `test_remote` and `test_patience` fetch them from a server."""

from pathlib import Path

import pytest

from goldwash.pipeline.storage.crawls import chosen
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives

LISTS = "https://data.commoncrawl.org/crawl-data"


@pytest.mark.parametrize(
    ("name", "listed", "choice"),
    [
        ("CC-MAIN-2024-10", f"{LISTS}/CC-MAIN-2024-10/warc.paths.gz", {}),
        ("CC-MAIN-2024-10,kind=wet,limit=3", f"{LISTS}/CC-MAIN-2024-10/wet.paths.gz", {"limit": "3"}),
        ("CC-NEWS-2024-03,sample=2,seed=1", f"{LISTS}/CC-NEWS/2024/03/warc.paths.gz", {"sample": "2", "seed": "1"}),
        ("lists/warc.paths,limit=3", "lists/warc.paths", {"limit": "3"}),
        ("a,limit=3/b.warc", "a,limit=3/b.warc", {}),
        ("a.warc", "a.warc", {}),
    ],
)
def test_a_name_and_what_is_chosen_of_it(monkeypatch: pytest.MonkeyPatch, name: str, listed: str, choice: object) -> None:
    monkeypatch.delenv("GOLDWASH_COMMON_CRAWL", raising=False)
    assert chosen(name) == (listed, choice)


def test_a_file_of_a_crawls_name_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "CC-MAIN-2024-10").mkdir()
    assert chosen("CC-MAIN-2024-10") == ("CC-MAIN-2024-10", {})


def test_a_kind_that_crawls_do_not_have() -> None:
    with pytest.raises(DataError, match="kind is 'robots'; expected warc, wet, wat, robotstxt"):
        chosen("CC-MAIN-2024-10,kind=robots")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is an empty list"), (b"a\0b\n", "NUL"), (b"\xff", "is not a list of paths")]
)
def test_lists_that_name_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "warc.paths").write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_archives([str(tmp_path / "warc.paths")])


def test_common_crawls_own_paths_get_its_address(tmp_path: Path) -> None:
    paths = tmp_path / "warc.paths"
    paths.write_text("crawl-data/CC-MAIN-2024-10/segments/1/warc/CC-MAIN-1.warc.gz\n")
    assert find_archives([str(paths)])[0].path == (
        "https://data.commoncrawl.org/crawl-data/CC-MAIN-2024-10/segments/1/warc/CC-MAIN-1.warc.gz"
    )


def test_common_crawls_archives_have_its_own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "warc.paths").write_text("crawl-data/CC-MAIN-2024-10/a.warc.gz\nhttps://h.example/b.warc.gz\n")
    for place in ("s3://commoncrawl", "https://data.commoncrawl.org"):
        monkeypatch.setenv("GOLDWASH_COMMON_CRAWL", place)
        found = find_archives([str(tmp_path / "warc.paths")])
        assert [i.name for i in found] == ["crawl-data/CC-MAIN-2024-10/a.warc.gz", "https://h.example/b.warc.gz"]
        assert found[0].path == f"{place}/crawl-data/CC-MAIN-2024-10/a.warc.gz"
