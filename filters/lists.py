"""Lists of words and hosts, as hash tables that kernels probe.

Invariants:

- A list is named by a path, by a place such as ``https://...``, or by ``package:NAME/PATH``, a file of an installed package.
  ``hosts.tar.gz::domains`` names all files called ``domains`` in a tar archive.
- A list is UTF-8 with one entry per line. A byte-order mark, blank lines and comments (``# `` to the line's end) are skipped.
- Hosts are in the normal form of the URL Standard (https://url.spec.whatwg.org/#host-parsing), in lists as in URLs.
- A host list is an open-addressing table of 64-bit hashes, at most 32 bytes per entry. It is made once per machine and mapped
  from disk, so that workers share one copy.
"""

import codecs
import hashlib
import importlib.util
import ipaddress
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import ada_url
import numpy as np
import numpy.typing as npt

from goldwash.errors import GoldwashError
from goldwash.filters.cache import in_cache, kept_array
from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.fetch import fetched
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import Hashes, hashes, row_hash, table_size
from goldwash.filters.texts import Texts


class ListError(GoldwashError, ValueError):
    """A list that cannot be read; the message says which one and why."""


def located(name: str) -> Path:
    """The file that a list's name means; raises `ListError` if there is none."""
    if name.startswith("package:"):
        package, _, inside = name.removeprefix("package:").partition("/")
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise ListError(f"list {name}: the package {package} is not installed")
        path = Path(spec.submodule_search_locations[0]) / inside
    else:
        path = fetched(name) if "://" in name else Path(name)
    if not path.is_file():
        raise ListError(f"list {name}: no file {path}")
    return path


def entries(name: str) -> tuple[str, ...]:
    """The entries of a list, in lower case, in order, each once.

    ``NAME::MEMBER`` reads every file called MEMBER in a tar archive.
    """
    return tuple(dict.fromkeys(filter(None, map(_entry, _LINE_END.split(_content(name).decode("utf-8"))))))


_LINE_END = re.compile("\r\n|[\r\n]")


def _entry(line: str) -> str:
    """The entry of a line, in lower case and without a comment; "" if it has none."""
    return re.sub(r"(^|\s)#(\s.*|$)", "", line).strip().lower()


def _content(name: str) -> bytes:
    """The bytes of a list: UTF-8 without a byte-order mark."""
    name, _, member = name.partition("::")
    path = located(name)
    try:
        if not tarfile.is_tarfile(path):
            data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
            data.decode("utf-8")
            return data
        data = b"\n".join(content.removeprefix(codecs.BOM_UTF8) for content in _members(path, member))
        return data if data.isascii() else data.decode("utf-8", "replace").encode()
    except (UnicodeDecodeError, tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ListError(f"list {name}: {path} is not a text list ({error})") from error


def _members(path: Path, member: str) -> Iterator[bytes]:
    found = False
    with tarfile.open(path) as archive:
        for item in archive:
            if item.isfile() and (not member or Path(item.name).name == member):
                file = archive.extractfile(item)
                assert file is not None
                found = True
                yield file.read()
    if not found:
        raise ListError(f"list {path}: no file called {member} in the archive")


def plain_host(entry: str) -> str:
    """The host of a list entry in normal form, without ``www.`` or a wildcard; "" if nothing is left.

    An entry is a host, perhaps with a port, or a URL.

    >>> plain_host("*.Stra\u00dfe.example"), plain_host("2001:DB8:0::1"), plain_host("https://www.example.com:80/a")
    ('xn--strae-oqa.example', '[2001:db8::1]', 'example.com')
    """
    entry = re.sub(r"^[a-z][a-z0-9+.-]*:[/\\]{2}", "", entry.strip().lower()).removeprefix("*.").lstrip(".")
    with suppress(ValueError):
        entry = f"[{ipaddress.IPv6Address(entry)}]"
    host = url_host(f"http://{entry}")
    if host is None:
        host = re.split(r"[/\\?#]", entry)[0].rsplit("@")[-1].split(":")[0]
    return host.strip(".").removeprefix("www.").strip(".")


def url_host(url: str) -> str | None:
    """The host of a URL by the URL Standard: in lower case, IDNA by UTS 46 (non-transitional), percent-decoded, IP addresses in
    normal form. "" for a URL without a host; None for one that the standard refuses. A URL may begin with ``//``.

    >>> url_host("http://gold.example\\\\a"), url_host("//[2001:DB8:0::1]:80/"), url_host("http://a b/")
    ('gold.example', '[2001:db8::1]', None)
    """
    try:
        return str(ada_url.URL(f"http:{url}" if url.startswith("//") else url).hostname)
    except ValueError:
        return None


def _host_hashes(content: bytes) -> Hashes:
    """The hashes of a list's hosts. Nearly all lines are in normal form already and are hashed in place."""
    data = np.frombuffer(content, np.uint8)
    lines = Texts(data, np.zeros(1, np.int64), np.array([len(data)])).lines
    plain, found = plain_host_hashes(lines.utf8, lines.starts, lines.ends)
    rest = Texts.of(
        list(filter(None, (plain_host(_entry(lines[row])) for row in np.flatnonzero(~plain) if _entry(lines[row]))))
    )
    return np.concatenate([found[plain], hashes(rest.utf8, rest.starts, rest.ends)])


@kernel
def plain_host_hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Which rows are hosts in normal form, and the hashes of all rows: ``bool[N]``, ``uint64[N]``.

    Such a row has lower-case letters, digits, hyphens and dots alone, a dot inside, no ``www.``, and a last label that does not
    begin with a digit, since it may be an IP address in another notation.
    """
    plain, out = np.ones(len(starts), np.bool_), np.empty(len(starts), np.uint64)
    for row in range(len(starts)):
        a, z = starts[row], ends[row]
        dots, label = 0, a
        for i in range(a, z):
            b = utf8[i]
            dots += b == 46 and a < i < z - 1
            label = i + 1 if b == 46 else label
            plain[row] &= 97 <= b <= 122 or 48 <= b <= 57 or b == 45 or b == 95 or b == 46
        www = z - a > 4 and utf8[a] == 119 and utf8[a + 1] == 119 and utf8[a + 2] == 119 and utf8[a + 3] == 46
        plain[row] &= dots > 0 and not www and utf8[a] != 46 and utf8[z - 1] != 46 and not 48 <= utf8[min(label, z - 1)] <= 57
        out[row] = row_hash(utf8, a, z, False)
    return plain, out


HOST_FORM = 2
"""The version of the hosts' normal form: tables of another version are made anew."""


@cache
def host_table(name: str | tuple[str, ...]) -> Hashes:
    """The hosts of a list as an open-addressing table of hashes, where 0 is an empty slot: ``uint64[2^k]``."""
    if isinstance(name, tuple):
        table = np.asarray(hash_table(_host_hashes("\n".join(name).encode())))
        table.flags.writeable = False
        return table
    path = located(name.partition("::")[0])
    probe = Texts.of(["a change of the hash makes another table"])
    hashed = str(hashes(probe.utf8, probe.starts, probe.ends)[0])
    digest = hashlib.sha256(path.read_bytes() + f"{name} {hashed} {HOST_FORM} {ada_url.get_version()}".encode()).hexdigest()[
        :16
    ]
    kept = in_cache("lists", f"hosts-{digest}.npy")
    return kept_array(kept, lambda: np.asarray(hash_table(_host_hashes(_content(name)))))


@cache
def phrase_table(name: str | tuple[str, ...]) -> tuple[Hashes, Rows, Rows, npt.NDArray[np.uint16]]:
    """The phrases of a list: hashes by slot, index + 1 by slot (0: empty), the lengths that occur, in order, and by
    `_beginning` the number of lengths up to that of the longest phrase that begins with three bytes: ``uint16[65536]``. A
    phrase of fewer bytes counts for all that may follow."""
    listed = Texts.of(entries(name) if isinstance(name, str) else [phrase.lower() for phrase in dict.fromkeys(name)])
    size = int(table_size(len(listed)))
    keys, index = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for row, length in enumerate(listed.byte_counts):
        h = polynomial(listed.utf8, listed.starts[row], listed.starts[row] + length)
        slot = int(h >> np.uint64(32)) & (size - 1)
        while index[slot]:
            slot = (slot + 1) % size
        keys[slot], index[slot] = h, row + 1
    begins, lengths, every = np.zeros(1 << 16, np.uint16), np.unique(listed.byte_counts), np.arange(256, dtype=np.uint64)
    for length in lengths:
        starts = listed.starts[listed.byte_counts == length]
        rest = every, every[:, None], every  # where a phrase has no second or third byte, any
        first = (listed.utf8[starts + k].astype(np.uint64)[:, None, None] if k < length else rest[k] for k in range(3))
        begins[_beginning(*first)] = np.searchsorted(lengths, length) + 1
    for array in (keys, index, lengths, begins):
        array.flags.writeable = False
    return keys, index, lengths, begins


def _beginning(a: Any, b: Any, c: Any) -> Any:
    """A number of 16 bits of three bytes, all ``uint64``: numbers or arrays."""
    return ((a | (b << np.uint64(8)) | (c << np.uint64(16))) * np.uint64(0x9E3779B1) >> np.uint64(16)) & np.uint64(0xFFFF)


beginning = inline(_beginning)
BASE = np.uint64(0x9E3779B97F4A7C15)


@kernel
def polynomial(utf8: Bytes, start: int, end: int) -> Any:
    """A hash of a row, from which hashes of its parts follow by subtraction: ``sum((byte + 1) * BASE ** (end - 1 - i))``."""
    h = np.uint64(0)
    for i in range(start, end):
        h = h * BASE + np.uint64(utf8[i]) + np.uint64(1)
    return h


@kernel
def hash_table(row_hashes: Hashes) -> Any:
    """An open-addressing table of these hashes, at most half full. 0 is an empty slot; the hash 0 is stored as 1."""
    size = table_size(len(row_hashes))
    table = np.zeros(size, np.uint64)
    for row in range(len(row_hashes)):
        h = max(row_hashes[row], np.uint64(1))
        slot = np.int64(h & np.uint64(size - 1))
        while table[slot] != 0 and table[slot] != h:
            slot = (slot + 1) & (size - 1)
        table[slot] = h
    return table


@inline
def in_table(table: Hashes, h: Any) -> Any:
    """Whether a `hash_table` holds a hash."""
    h = max(np.uint64(h), np.uint64(1))
    mask = len(table) - 1
    slot = np.int64(h & np.uint64(mask))
    while table[slot] != 0:
        if table[slot] == h:
            return True
        slot = (slot + 1) & mask
    return False
