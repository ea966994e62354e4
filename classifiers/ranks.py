"""The rank of a document's host in the graph of the web: PageRank, or harmonic centrality.

Invariants:

- Files of ranks are read as Common Crawl publishes them (commoncrawl.org/web-graphs): tab-separated, packed or not, a header
  that begins with ``#``, host names reversed (``com.example.blog``) without a leading ``www``. A file with a column
  ``#n_hosts`` ranks domains: a host then has the rank of the longest of its parent domains that the file has. `goldwash
  pagerank` writes files of hosts.
- A file is read once, in bounded memory, into an index of 12 bytes per host, in the cache. It is searched on disk.
- Hosts are compared by 64 bits of a hash: one of 300 million hosts is taken for another with a probability of 2e-11.
- A host that is not in the file has rank 0: nothing that was crawled links to it. A document without a host has no rank.

DCLM's table 4 keeps the top fifth by PageRank (arXiv 2406.11794, section 4.4).
"""

import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from goldwash.classifiers.addresses import no_label, settings
from goldwash.classifiers.model_file import ModelError
from goldwash.filters.cache import in_cache, put
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.ngrams import hashes
from goldwash.filters.texts import Texts
from goldwash.filters.url import url_hosts
from goldwash.text_output import printable

MAGIC = b"goldwash ranks\n"
HEAD = 256
"""Bytes before the numbers of an index: the magic, and JSON."""
BLOCK = 1 << 24
"""Bytes of text that are parsed at once."""
PARTS = 256
"""Temporary files through which an index is sorted: 300 million hosts take 15 MB of memory at once."""
HOST, HOSTS, VALUE = "#host_rev", "#n_hosts", "#pr_val"
COLUMNS = ("#harmonicc_pos", "#harmonicc_val", "#pr_pos", VALUE, HOST, HOSTS)
"""The columns of Common Crawl's files, for one whose header was cut off."""
ENTRY = np.dtype([("hash", "<u8"), ("rank", "<f4")])

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Ranks:
    """An index of ranks as a measure (`goldwash.classifiers.measures`)."""

    path: Path
    hosts: int
    domains: bool
    """Whether the index has domains, in place of hosts."""
    digest: str
    file_name = "hosts.ranks"

    @cached_property
    def keys(self) -> Hashes:
        """The sorted hashes of host names, on disk: ``uint64[hosts]``."""
        return np.memmap(self.path, "<u8", "r", HEAD, (self.hosts,)) if self.hosts else np.zeros(0, np.uint64)

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """Their ranks, on disk: ``float32[hosts]``."""
        return np.memmap(self.path, "<f4", "r", HEAD + 8 * self.hosts, (self.hosts,)) if self.hosts else np.zeros(0, np.float32)

    def measure(self, texts: Texts, table: pa.Table) -> npt.NDArray[np.float64]:
        """The rank of each document's host: ``float64[N]``; nan for a document without a host, 0 for an unknown one."""
        if "url" not in table.column_names:
            raise ModelError("pagerank: the documents have no URLs: name their column with --url-column")
        urls = Texts.of(table["url"].cast(pa.large_string()).fill_null(""))
        names = [reversed_host(host) for host in url_hosts(urls)]
        unique = list(dict.fromkeys(name for name in names if name))
        known = dict(zip(unique, self.of_hosts(unique).tolist(), strict=True))
        return np.array([known[name] if name else np.nan for name in names], np.float64)

    def of_hosts(self, names: list[str]) -> npt.NDArray[np.float64]:
        """The ranks of reversed host names: ``float64[N]``, 0 for unknown ones."""
        found, known = self._exact(names)
        while self.domains and not known.all():  # a.b.c, then a.b, then a
            rows = np.array([n for n in np.flatnonzero(~known).tolist() if "." in names[n]], np.int64)
            if not len(rows):
                break
            names = [name.rpartition(".")[0] if not known[n] else name for n, name in enumerate(names)]
            found[rows], known[rows] = self._exact([names[n] for n in rows.tolist()])
        return found

    def _exact(self, names: list[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        wanted = hashes_of(pa.array(names, pa.large_string()))
        if not self.hosts:
            return np.zeros(len(names)), np.zeros(len(names), bool)
        place = np.minimum(np.searchsorted(self.keys, wanted), self.hosts - 1)
        known = self.keys[place] == wanted
        return np.where(known, self.values[place].astype(np.float64), 0.0), known

    def versions(self) -> dict[str, str]:
        """The digest of the index, which the file of ranks and the column decide."""
        return {"ranks": self.digest}

    def save(self, path: str) -> None:
        """Copy the index."""
        shutil.copyfile(self.path, path)


def reversed_host(host: str) -> str:
    """A host as files of ranks have it: lower case, without ``www.``, labels reversed; addresses of four numbers as they are.

    >>> reversed_host("www.Blog.example.com"), reversed_host("10.0.0.1"), reversed_host("")
    ('com.example.blog', '10.0.0.1', '')
    """
    name = host.lower().strip(".")
    name = name.removeprefix("www.") if name.count(".") > 1 else name
    labels = name.split(".")
    return name if name[:1] == "[" or all(label.isdigit() for label in labels) else ".".join(labels[::-1])


def hashes_of(names: Any) -> Hashes:
    """64 bits of each name: ``uint64[N]``."""
    texts = Texts.of(names)
    return np.asarray(hashes(texts.utf8, texts.starts, texts.ends))


def ranks(address: str, label: str | None) -> Ranks:
    """The measure ``pagerank:ADDRESS``: a file of ranks, or an index; ``#column=harmonicc_val`` takes another column.

    Raises `ModelError` for a file that is missing, broken, or has other columns.
    """
    no_label("pagerank", label)
    place, given = settings("pagerank", address, {"column": str})
    path = fetched(place)
    with path.open("rb") as file:
        made = file.read(len(MAGIC)) == MAGIC
    if made:
        return _opened(path, file_digest(path))
    column = "#" + given.get("column", VALUE).removeprefix("#")
    kept = in_cache("ranks", f"{file_digest(path)[:32]}-{column[1:]}.ranks")
    if not kept.is_file():
        with put(kept) as half:
            write_index(path, column, half)
    return _opened(kept, file_digest(kept))


@lru_cache(maxsize=4)
def _opened(path: Path, digest: str) -> Ranks:
    with path.open("rb") as file:
        head = file.read(HEAD)
    try:
        facts = json.loads(head[len(MAGIC) :])
        made = Ranks(path, int(facts["hosts"]), bool(facts["domains"]), digest)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{printable(path)} is no whole index of ranks: delete it, and give the command again") from error
    if path.stat().st_size != HEAD + 12 * made.hosts:
        raise ModelError(
            f"{printable(path)} is cut off: it has {path.stat().st_size:,} bytes, and {made.hosts:,} hosts need "
            f"{HEAD + 12 * made.hosts:,}; delete it, and give the command again"
        )
    return made


def write_index(source: Path, column: str, out: Path) -> None:
    """Read a file of ranks, and write its index. Memory: a block of text, and a 256th of the hosts."""
    names = _header(source, column)
    folder = out.with_suffix(".parts")
    folder.mkdir()
    try:
        files = [(folder / str(n)).open("wb") for n in range(PARTS)]
        try:
            for entries in _entries(source, names, column):
                part = (entries["hash"] >> np.uint64(56)).astype(np.int64)
                order = np.argsort(part, kind="stable")
                bounds = np.searchsorted(part[order], np.arange(PARTS + 1))
                for n, file in enumerate(files):
                    file.write(entries[order[bounds[n] : bounds[n + 1]]].tobytes())
        finally:
            for file in files:
                file.close()
        _write_sorted(folder, HOSTS in names, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_sorted(folder: Path, domains: bool, out: Path) -> None:
    """Sort each part; write all hashes, then all ranks. Of equal hashes the first counts."""
    hosts = 0
    with out.open("wb") as file, (folder / "ranks").open("w+b") as values:
        file.write(bytes(HEAD))
        for n in range(PARTS):
            entries = np.fromfile(folder / str(n), ENTRY)
            _, first = np.unique(entries["hash"], return_index=True)
            file.write(entries["hash"][first].tobytes())
            values.write(entries["rank"][first].tobytes())
            hosts += len(first)
        values.seek(0)
        shutil.copyfileobj(values, file, BLOCK)
        file.seek(0)
        file.write((MAGIC + json.dumps({"hosts": hosts, "domains": domains}).encode()).ljust(HEAD))
        file.flush()
        os.fsync(file.fileno())


def _header(source: Path, column: str) -> tuple[str, ...]:
    """The names of the columns; without a header, those that Common Crawl's files of that many columns have."""
    try:
        with pa.input_stream(str(source), buffer_size=1 << 16) as stream:
            first = io.BytesIO(stream.read(1 << 16)).readline().decode("utf-8", "replace").rstrip("\r\n")
    except (OSError, pa.ArrowException) as error:
        raise _broken(source, error) from error
    names = tuple(first.split("\t"))
    if not first.startswith("#"):
        names = COLUMNS[: len(names)] if len(names) in (len(COLUMNS) - 1, len(COLUMNS)) else ()
    missing = [name for name in (HOST, column) if name not in names]
    if missing:
        raise ModelError(
            f"{printable(source)} begins with {printable(first, 120)!r}: expected a tab-separated file with the columns "
            f"{HOST} and {column}, as Common Crawl's host and domain ranks, or as `goldwash pagerank` writes it"
        )
    return names


def _entries(source: Path, names: tuple[str, ...], column: str) -> Iterator[Any]:
    """The file's rows, block by block: arrays of `ENTRY`."""
    odd: list[str] = []

    def refuse(row: Any) -> str:
        odd.append(f"row {row.number}" if row.number is not None else printable(row.text, 120))
        return "error"

    try:
        with pa.input_stream(str(source)) as stream:
            reader = pa.csv.open_csv(
                stream,
                pa.csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=list(names)),
                pa.csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=refuse),
                pa.csv.ConvertOptions(
                    include_columns=[HOST, column],
                    column_types={HOST: pa.large_string(), column: pa.large_string()},
                ),
            )
            for number, batch in enumerate(reader):
                skipped = sum(1 for _ in takewhile(lambda name: name.startswith("#"), batch[HOST][:1].to_pylist()))
                rows = batch.slice(skipped if number == 0 else 0)
                entries = np.empty(rows.num_rows, ENTRY)
                entries["hash"] = hashes_of(rows[HOST])
                entries["rank"] = rows[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
                if not np.isfinite(entries["rank"]).all() or (entries["rank"] < 0).any():
                    raise ModelError(f"{printable(source)}, column {column}: expected finite numbers from 0 on")
                yield entries
    except (OSError, pa.ArrowException) as error:
        raise _broken(source, f"{odd[0]}: {error}" if odd else error) from error


def _broken(source: Path, why: object) -> ModelError:
    return ModelError(f"{printable(source)} cannot be read as a file of ranks ({printable(why, 200)}): fetch it again")
