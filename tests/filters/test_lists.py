"""Lists: comments, archives, packages, hosts; what a list that cannot be read says."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from goldwash.filters.lists import ListError, entries, host_table, located, plain_host, url_host

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
    ("host", "plain"),
    [
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ("straße.example", "xn--strae-oqa.example"),  # not transitional: the sharp s stays
        ("faß.ΒΌΛΟΣ.example", "xn--fa-hia.xn--nxasmq6b.example"),
        ("βόλος.com", "xn--nxasmm1c.com"),  # a final sigma stays
        ("☕.example", "xn--53h.example"),  # UTS 46 allows what IDNA 2008 forbids
        ("ＧＯＬＤ．example", "gold.example"),
        ("gold。example", "gold.example"),
        ("go\u00adld.example", "gold.example"),
        ("*.bücher.de", "xn--bcher-kva.de"),
        (".example.com", "example.com"),
        ("*.www.example.com", "example.com"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("[2001:0DB8:0:0::1]", "[2001:db8::1]"),
        ("http://[2001:db8::1]:8080/x", "[2001:db8::1]"),
        ("http:\\\\gold.example\\a", "gold.example"),
        ("gold.example\\a", "gold.example"),
        ("g%6fld.example", "gold.example"),
        ("0x7f.1", "127.0.0.1"),
        ("010.0.0.1", "8.0.0.1"),
        ("a b", "a b"),
        ("[", "["),
    ],
)
def test_hosts_in_the_normal_form_of_the_url_standard(host: str, plain: str) -> None:
    assert plain_host(host) == plain


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://", None),
        ("mailto:a@b.c", ""),
        ("//a.com/x", "a.com"),
        ("a.com/x", None),
        ("ht\ntp://a.com", "a.com"),
        ("", None),
    ],
)
def test_the_host_of_a_url(url: str, host: str | None) -> None:
    assert url_host(url) == host


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_byte_order_marks_and_line_ends(mark: str, ending: str, tmp_path: Path) -> None:
    """A mark at the head of a list, or of any member of an archive, is part of no entry."""
    content = (mark + ending.join(["bad.example", "Worse word", "# no", "ä"])).encode()
    (tmp_path / "list.txt").write_bytes(content)
    expected = ("bad.example", "worse word", "ä")
    assert entries(str(tmp_path / "list.txt")) == expected
    name = archive(tmp_path / "lists.tar.gz", {"a/domains": content, "b/domains": content})
    assert entries(f"{name}::domains") == expected
    tables = [host_table(place).tolist() for place in (str(tmp_path / "list.txt"), f"{name}::domains", expected)]
    assert tables[0] == tables[2]
    assert set(tables[1]) == set(tables[2])


def test_only_line_ends_end_an_entry(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a\x0bb\u2028c\n\x85d\n", "utf-8")
    assert entries(str(tmp_path / "list.txt")) == ("a\x0bb\u2028c", "d")


@pytest.mark.parametrize(("mask", "mode"), [("022", 0o644), ("077", 0o600), ("002", 0o664)])
def test_cached_tables_have_the_permissions_of_the_umask(mask: str, mode: int, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("a.example\n")
    code = (
        f"import os; os.umask(0o{mask})\n"
        "from goldwash.filters import characters, lists\n"
        f"lists.host_table({str(tmp_path / 'hosts')!r}); characters.classes()"
    )
    environment = {**os.environ, "GOLDWASH_CACHE": str(tmp_path / "cache"), "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    made = list((tmp_path / "cache").rglob("*.npy"))
    assert {path.parent.name.partition("-")[0] for path in made} == {"lists", "kernels"}
    assert {path.stat().st_mode & 0o777 for path in made} == {mode}
