"""Lists of words and hosts, as hash tables that kernels probe.

Law: a list is named by a path, by a place such as ``https://...``, or as ``package:NAME/PATH`` a file of an installed package.
It has an entry a line; blank lines and comments (``# `` to the end of the line) are passed over; of a tar archive,
``hosts.tar.gz::domains`` is all files of that name. A host list is 64-bit hashes in an open-addressing table, at most 32 bytes
an entry, made once a machine, kept on disk and mapped from there, so that workers share one copy.
"""

import hashlib
import importlib.util
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.fetch import fetched
from goldwash.filters.jit import cache_home, inline, kernel
from goldwash.filters.ngrams import Hashes, hashes, row_hash, table_size
from goldwash.filters.texts import Texts


class ListError(ValueError):
    """A list that cannot be read; the message says which and why."""


def located(name: str) -> Path:
    """The file that a list's name means; raises `ListError` where it is not there."""
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
    """The entries of a list, lowered, in order, each once.

    ``NAME::MEMBER`` reads from a tar archive every file called MEMBER.
    """
    return tuple(dict.fromkeys(filter(None, map(_entry, _content(name).decode("utf-8").splitlines()))))


def _entry(line: str) -> str:
    """A line's entry, lowered, without a comment; "" where it has none."""
    return re.sub(r"(^|\s)#(\s.*|$)", "", line).strip().lower()


def _content(name: str) -> bytes:
    """The bytes of a list, which are UTF-8."""
    name, _, member = name.partition("::")
    path = located(name)
    try:
        if not tarfile.is_tarfile(path):
            data = path.read_bytes()
            data.decode("utf-8")
            return data
        data = b"\n".join(_members(path, member))
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
    """A host of a list in its plain form: no scheme, no port, no ``www.``, no wildcard, IDN as punycode; "" if none is left."""
    host = re.sub(r"^[a-z]+://", "", entry.lower()).split("/")[0].rsplit("@")[-1].split(":")[0]
    host = host.removeprefix("*.").removeprefix("www.").strip(".")
    return host if host.isascii() else ascii_host(host)


def _host_hashes(content: bytes) -> Hashes:
    """The hashes of a list's hosts; all but a few lines are plain already, and are hashed where they stand."""
    data = np.frombuffer(content, np.uint8)
    lines = Texts(data, np.zeros(1, np.int64), np.array([len(data)])).lines
    plain, found = plain_host_hashes(lines.utf8, lines.starts, lines.ends)
    rest = Texts.of(list(filter(None, (plain_host(_entry(lines[row])) for row in np.flatnonzero(~plain)))))
    return np.concatenate([found[plain], hashes(rest.utf8, rest.starts, rest.ends)])


@kernel
def plain_host_hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Which rows are small letters, digits, hyphens and dots, with a dot inside and no ``www.``; and all hashes."""
    plain, out = np.ones(len(starts), np.bool_), np.empty(len(starts), np.uint64)
    for row in range(len(starts)):
        a, z = starts[row], ends[row]
        dots = 0
        for i in range(a, z):
            b = utf8[i]
            dots += b == 46 and a < i < z - 1
            plain[row] &= 97 <= b <= 122 or 48 <= b <= 57 or b == 45 or b == 95 or b == 46
        www = z - a > 4 and utf8[a] == 119 and utf8[a + 1] == 119 and utf8[a + 2] == 119 and utf8[a + 3] == 46
        plain[row] &= dots > 0 and not www and utf8[a] != 46 and utf8[z - 1] != 46
        out[row] = row_hash(utf8, a, z, False)
    return plain, out


def ascii_host(host: str) -> str:
    """A host with its international labels in punycode (IDNA 2003, as browsers' addresses); itself where that fails."""
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return host


@cache
def host_table(name: str | tuple[str, ...]) -> Hashes:
    """The hosts of a list as an open-addressing table of hashes (0 is an empty slot): ``uint64[2^k]``."""
    if isinstance(name, tuple):
        table = np.asarray(hash_table(_host_hashes("\n".join(name).encode())))
        table.flags.writeable = False
        return table
    path = located(name.partition("::")[0])
    probe = Texts.of(["a change of the hash makes another table"])
    hashed = str(hashes(probe.utf8, probe.starts, probe.ends)[0])
    digest = hashlib.sha256(path.read_bytes() + name.encode() + hashed.encode()).hexdigest()[:16]
    kept = cache_home() / "lists" / f"hosts-{digest}.npy"
    if not kept.exists():
        table = hash_table(_host_hashes(_content(name)))
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as half:
            np.save(half, table)
        os.replace(half.name, kept)
    return np.asarray(np.load(kept, mmap_mode="r"))


@cache
def phrase_table(name: str | tuple[str, ...]) -> tuple[Hashes, Rows, Rows, Bytes]:
    """The phrases of a list: hashes by slot, their index + 1 by slot (0: empty), the lengths that occur, and by two
    bytes whether a phrase begins with them (``uint8[256, 256]``; all second bytes where a phrase is of one)."""
    listed = Texts.of(entries(name) if isinstance(name, str) else [phrase.lower() for phrase in dict.fromkeys(name)])
    size = int(table_size(len(listed)))
    keys, index = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for row, length in enumerate(listed.byte_counts):
        h = polynomial(listed.utf8, listed.starts[row], listed.starts[row] + length)
        slot = int(h >> np.uint64(32)) & (size - 1)
        while index[slot]:
            slot = (slot + 1) % size
        keys[slot], index[slot] = h, row + 1
    begins = np.zeros((256, 256), np.uint8)
    for start, length in zip(listed.starts, listed.byte_counts, strict=True):
        begins[listed.utf8[start], listed.utf8[start + 1] if length > 1 else slice(None)] = 1
    lengths = np.unique(listed.byte_counts)
    for array in (keys, index, lengths, begins):
        array.flags.writeable = False
    return keys, index, lengths, begins


BASE = np.uint64(0x9E3779B97F4A7C15)


@kernel
def polynomial(utf8: Bytes, start: int, end: int) -> Any:
    """A hash of a row from which those of its parts follow by subtraction: ``sum(byte * BASE ** (end - 1 - i))``."""
    h = np.uint64(0)
    for i in range(start, end):
        h = h * BASE + np.uint64(utf8[i]) + np.uint64(1)
    return h


@kernel
def hash_table(row_hashes: Hashes) -> Any:
    """An open-addressing table of these hashes, at most half full; 0 is an empty slot, and the hash 0 is kept as 1."""
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
    """Whether a hash stands in a `hash_table`."""
    h = max(np.uint64(h), np.uint64(1))
    mask = len(table) - 1
    slot = np.int64(h & np.uint64(mask))
    while table[slot] != 0:
        if table[slot] == h:
            return True
        slot = (slot + 1) & mask
    return False
