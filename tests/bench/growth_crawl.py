"""The archives that `tests.bench.growth` measures on: the real pages once, twice and four times, and near copies of them.

To every stage, a page of a copy is another page: it has the words of the original in other places (`copied`). Near copies are
made by `edited`. The sample crawl is copied where the real pages are missing.
"""

import gzip
import hashlib
import io
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from goldwash.pipeline.warc.http import Response, response
from goldwash.pipeline.warc.records import MOST, Record, records

SIZES = (0, 1, 2, 4)
"""How many times the pages; 0 is every `FEW`th of them, which shows the fixed costs."""
FEW = 100
CUT = -1
"""The size whose pages are those of 0, in `PIECES` archives."""
PIECES = 12
NEAR = -2
"""The largest size, and a near copy of every `NEARLY`th page. Only `minhash` is measured on it: with few near copies, what they
cost is smaller than the noise."""
NEARLY = 3
"""With near copies of a third of the pages, half of all have one (`IN_COMPONENTS`)."""
EVERY = 40
"""A near copy has another word for every so many long ones: a seventh of its shingles."""

MARKUP_OR_TEXT = re.compile(rb"(?is)<script\b.*?</script|<style\b.*?</style|<!--.*?--|>[^<]+")
WORD = re.compile(rb"(?<![&#\w\x80-\xff])[A-Za-z]{5,}(?![\w;\x80-\xff])")


def copied(html: bytes, number: int) -> bytes:
    """The page with its words of five or more letters exchanged for one another, each for the same one throughout.

    So it stays in its language, repeats what it repeated and is about as long, but shares few runs of words with the page. In
    an order that depends on the copy's number alone, each word gives way to the next, so that near copies stay near copies.
    """
    words: set[bytes] = {word.lower() for text in _texts(html) for word in WORD.findall(text)}
    ordered = sorted(words, key=lambda word: hashlib.blake2b(word, digest_size=8, salt=number.to_bytes(2, "little")).digest())
    other = dict(zip(ordered, ordered[1:] + ordered[:1], strict=True))

    def exchanged(match: re.Match[bytes]) -> bytes:
        word: bytes = match[0]
        instead = other[word.lower()]
        return instead.upper() if word.isupper() else instead.capitalize() if word[:1].isupper() else instead

    def node(match: re.Match[bytes]) -> bytes:
        return WORD.sub(exchanged, match[0]) if match[0].startswith(b">") else match[0]

    return MARKUP_OR_TEXT.sub(node, html)


def _texts(html: bytes) -> Iterator[bytes]:
    return (found for found in MARKUP_OR_TEXT.findall(html) if found.startswith(b">"))


def moved(url: str, number: int) -> str:
    """The page's address at another host of the same domain, so that lists of domains mean it still.

    >>> moved("http://www.example.com/a?b", 3)
    'http://copy3.www.example.com/a?b'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"copy{number}.{parts.netloc}"))


def edited(html: bytes) -> bytes:
    """The page with every `EVERY`th of its words of five or more letters longer by its last two: a near copy."""
    count = 0

    def changed(match: re.Match[bytes]) -> bytes:
        nonlocal count
        count += 1
        return match[0] if count % EVERY else match[0] + match[0][-2:]

    def node(match: re.Match[bytes]) -> bytes:
        return WORD.sub(changed, match[0]) if match[0].startswith(b">") else match[0]

    return MARKUP_OR_TEXT.sub(node, html)


def copy_archive(archive: Path, number: int, out: Path, step: int = 1, near: bool = False) -> None:
    """Add copy ``number`` of an archive's pages (0: as they are), of every ``step``th, a gzip member a record.

    ``near``: a near copy of that copy, with ids and hosts of its own.
    """
    named_ = number + max(SIZES) * near
    with archive.open("rb") as stream, out.open("ab") as target:
        found = (r for r in records(stream, archive.stat().st_size) if isinstance(r, Record) and r.kind == "response")
        for place, record in enumerate(found):
            if place % step:
                continue
            page = response(record.block, MOST)
            if named_:
                renamed = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{record.id} {named_}')}"
                record = replace(record, id=renamed, url=moved(record.url, named_))
                body = copied(bytes(page.body), number) if number else bytes(page.body)
                page = replace(page, body=edited(body) if near else body)
            target.write(_member(_record(record, page)))


def _record(record: Record, page: Response) -> bytes:
    """A response as WARC/1.0, its body unpacked."""
    kind = page.headers.get("content-type", "")
    http = f"HTTP/1.1 {page.status or 200} -\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
    block = http.encode("utf-8", "replace") + b"\r\n" + page.body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <{record.id.strip('<>')}>\r\nWARC-Date: {record.date}\r\n"
        f"WARC-Target-URI: {record.url}\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: {len(block)}"
    )
    return head.encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def _member(record: bytes) -> bytes:
    held = io.BytesIO()
    with gzip.GzipFile(fileobj=held, mode="wb", compresslevel=1, mtime=0) as file:
        file.write(record)
    return held.getvalue()


def archives(folder: Path) -> list[Path]:
    """The archives whose pages are copied; the sample crawl is written into ``folder`` where it is wanted."""
    from tests.bench.measures import REAL

    found = sorted((REAL / "pages").glob("public-*.warc.gz"))
    if found:
        return found
    from goldwash.pipeline.sample.crawl import write_sample

    write_sample(folder)
    return sorted((folder / "crawl").glob("*.warc.gz"))


def write_crawl(folder: Path) -> None:
    """A folder for each size, with one archive; `CUT` has `PIECES`."""
    for size in (NEAR, CUT, *SIZES):
        pages_of(folder, size).mkdir(parents=True)
    few = pages_of(folder, 0) / "pages.warc.gz"
    for archive in archives(folder / "sample"):
        for number in range(max(SIZES)):
            copy = folder / "copy.warc.gz"
            copy_archive(archive, number, copy)
            for size in SIZES[number + 1 :] if number < 2 else SIZES[-1:]:
                append(copy, pages_of(folder, size) / "pages.warc.gz")
            append(copy, pages_of(folder, NEAR) / "pages.warc.gz")
            copy.unlink()
            copy_archive(archive, number, pages_of(folder, NEAR) / "pages.warc.gz", NEARLY, near=True)
        copy_archive(archive, 0, few, FEW)
    cut(few, pages_of(folder, CUT))


def append(part: Path, whole: Path) -> None:
    """Add an archive to another: gzip members may follow one another."""
    with part.open("rb") as source, whole.open("ab") as target:
        shutil.copyfileobj(source, target)


def cut(archive: Path, folder: Path) -> None:
    """An archive's pages in `PIECES` archives, in turns."""
    with archive.open("rb") as stream:
        for place, record in enumerate(r for r in records(stream, archive.stat().st_size) if isinstance(r, Record)):
            with (folder / f"pages-{place % PIECES:02d}.warc.gz").open("ab") as target:
                target.write(_member(_record(record, response(record.block, MOST))))


def pages_of(crawl: Path, size: int) -> Path:
    """The folder with the archives of a size."""
    return crawl / {CUT: "cut", NEAR: "near"}.get(size, f"size{size}")
