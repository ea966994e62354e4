"""Lists of words and hosts, as hash tables that kernels probe.

Law: a list is named by a path, or as ``package:NAME/PATH`` a file in an installed package. It has an entry a line; blank
lines and comments (``# `` to the end of the line) are passed over; of a tar archive, ``hosts.tar.gz::domains`` is all files of
that name. A host list is 64-bit hashes in an open-addressing table, at most 32 bytes an entry, made once a machine, kept on
disk and mapped from there, so that workers share one copy.
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

from filters.cut import Bytes, Rows
from filters.jit import cache_folder, kernel
from filters.ngrams import Hashes, hashes, table_size
from filters.texts import Texts


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
        path = Path(name)
    if not path.is_file():
        raise ListError(f"list {name}: no file {path}")
    return path


def entries(name: str) -> tuple[str, ...]:
    """The entries of a list, lowered, in order, each once.

    ``NAME::MEMBER`` reads from a tar archive every file called MEMBER.
    """
    name, _, member = name.partition("::")
    path = located(name)
    try:
        lines = _members(path, member) if tarfile.is_tarfile(path) else path.read_text("utf-8").splitlines()
        stripped = (re.sub(r"(^|\s)#(\s.*|$)", "", line).strip().lower() for line in lines)
        return tuple(dict.fromkeys(line for line in stripped if line))
    except (UnicodeDecodeError, tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ListError(f"list {name}: {path} is not a text list ({error})") from error


def _members(path: Path, member: str) -> Iterator[str]:
    found = False
    with tarfile.open(path) as archive:
        for item in archive:
            if item.isfile() and (not member or Path(item.name).name == member):
                file = archive.extractfile(item)
                assert file is not None
                found = True
                for line in file:
                    yield line.decode("utf-8", "replace")
    if not found:
        raise ListError(f"list {path}: no file called {member} in the archive")


_PLAIN_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")


def host_entries(name: str) -> Iterator[str]:
    """Hosts of a list in their plain form: no scheme, no port, no ``www.``, no wildcard, IDN as punycode."""
    return filter(None, map(_plain_host, entries(name)))


def _plain_host(entry: str) -> str:
    if _PLAIN_HOST.fullmatch(entry) and not entry.startswith("www."):
        return entry
    host = re.sub(r"^[a-z]+://", "", entry.lower()).split("/")[0].rsplit("@")[-1].split(":")[0]
    host = host.removeprefix("*.").removeprefix("www.").strip(".")
    return host if host.isascii() else ascii_host(host)


def _host_hashes(hosts: Iterator[str]) -> Hashes:
    listed = Texts.of(list(hosts))
    return np.asarray(hash_table(hashes(listed.utf8, listed.starts, listed.ends)))


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
        table = _host_hashes(map(_plain_host, name))
        table.flags.writeable = False
        return table
    path = located(name.partition("::")[0])
    digest = hashlib.sha256(path.read_bytes() + name.encode()).hexdigest()[:16]
    kept = cache_folder() / f"hosts-{digest}.npy"
    if not kept.exists():
        table = _host_hashes(host_entries(name))
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as half:
            np.save(half, table)
        os.replace(half.name, kept)
    return np.asarray(np.load(kept, mmap_mode="r"))


@cache
def phrase_table(name: str | tuple[str, ...]) -> tuple[Hashes, Rows, Rows, Bytes]:
    """The phrases of a list: hashes by slot, their index + 1 by slot (0: empty), the lengths that occur, and by byte whether
    a phrase begins with it."""
    listed = Texts.of(entries(name) if isinstance(name, str) else [phrase.lower() for phrase in dict.fromkeys(name)])
    size = int(table_size(len(listed)))
    keys, index = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for row, length in enumerate(listed.byte_counts):
        h = polynomial(listed.utf8, listed.starts[row], listed.starts[row] + length)
        slot = int(h % np.uint64(size))
        while index[slot]:
            slot = (slot + 1) % size
        keys[slot], index[slot] = h, row + 1
    begins = np.zeros(256, np.uint8)
    begins[listed.utf8[listed.starts]] = 1
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


@kernel
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
