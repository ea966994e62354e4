"""Lists: comments, archives, packages, hosts; what a list that cannot be read says."""

import io
import tarfile
from pathlib import Path

import pytest

from goldwash.filters.lists import ListError, ascii_host, entries, located, plain_host

SPELT = {
    "one\ntwo\n": ("one", "two"),
    "One\nTWO\none\n": ("one", "two"),
    "\n\n  \n one \n\n": ("one",),
    "# a comment\none # another\ntwo #\n#\n": ("one", "two"),
    "#tag\na#b\nx #y # z\n": ("#tag", "a#b", "x #y"),
    "two words\r\nlast": ("two words", "last"),
    "ÄPFEL\n": ("äpfel",),
    "": (),
}


@pytest.mark.parametrize(("text", "found"), SPELT.items())
def test_entries(text: str, found: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(text.encode())
    assert entries(str(file)) == found


def archive(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w:gz") as out:
        for name, content in members.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            out.addfile(item, io.BytesIO(content))
    return str(path)


MEMBERS = {
    "a/domains": b"One.com\n# no\n",
    "a/urls": b"one.com/x\n",
    "b/domains": b"two.com\none.com\n",
    "b/latin": b"caf\xe9\n",
}


@pytest.mark.parametrize(
    ("member", "found"),
    [
        ("::domains", ("one.com", "two.com")),
        ("::urls", ("one.com/x",)),
        ("::latin", ("caf\ufffd",)),
        ("", ("one.com", "one.com/x", "two.com", "caf\ufffd")),
    ],
)
def test_archives(member: str, found: tuple[str, ...], tmp_path: Path) -> None:
    assert entries(archive(tmp_path / "lists.tar.gz", MEMBERS) + member) == found


def test_packaged_lists() -> None:
    found = entries("package:datatrove/assets/banned_words.txt")
    assert len(found) > 50
    assert all(entry == entry.strip().lower() and entry for entry in found)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.txt", "list nowhere.txt: no file nowhere.txt"),
        ("package:nopackage/x.txt", "the package nopackage is not installed"),
        ("package:datatrove/assets/nothing.txt", "no file .*datatrove/assets/nothing.txt"),
        ("package:datatrove", "no file"),
        ("package:re/x.txt", "no file|not installed"),
    ],
)
def test_lists_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(ListError, match=message):
        located(name)


def test_a_package_in_no_package() -> None:
    with pytest.raises(ListError, match="not installed"):
        located("package:nopackage.sub/x.txt")


def test_a_member_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="no file called nothing in the archive"):
        entries(archive(tmp_path / "lists.tar.gz", MEMBERS) + "::nothing")


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"one\ncaf\xe9\n")
    with pytest.raises(ListError, match="is not a text list"):
        entries(str(file))


def test_a_broken_archive(tmp_path: Path) -> None:
    whole = Path(archive(tmp_path / "lists.tar.gz", {"domains": bytes(range(256)) * 4000})).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ListError):
        entries(f"{tmp_path / 'cut.tar.gz'}::domains")


HOSTS = {
    "example.com": "example.com",
    "Example.COM": "example.com",
    "www.example.com": "example.com",
    "*.example.com": "example.com",
    "https://example.com/path": "example.com",
    "http://user:pw@example.com:80/": "example.com",
    "example.com:8080": "example.com",
    "example.com.": "example.com",
    "bücher.de": "xn--bcher-kva.de",
    "XN--BCHER-KVA.de": "xn--bcher-kva.de",
    "localhost": "localhost",
    "10.0.0.1": "10.0.0.1",
    "www.com": "com",
    "my_host.example": "my_host.example",
}


@pytest.mark.parametrize(("entry", "host"), HOSTS.items())
def test_hosts(entry: str, host: str, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(entry)
    assert [plain_host(entry) for entry in entries(str(file))] == [host]


@pytest.mark.parametrize(
    ("host", "plain"), [("пример.рф", "xn--e1afmkfd.xn--p1ai"), ("a..ü", "a..ü"), ("ü" * 80, "ü" * 80), ("a.b", "a.b")]
)
def test_international_hosts(host: str, plain: str) -> None:
    assert ascii_host(host) == plain
