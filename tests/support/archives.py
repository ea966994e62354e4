"""Archives written in code, record by record."""

import gzip
import io
from collections.abc import Sequence

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter


def record(
    url: str, html: bytes, kind: str = "response", status: str = "200 OK", content_type: str = "text/html",
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:  # fmt: skip
    """One record, not compressed. ``headers``: further ones of HTTP."""
    file = io.BytesIO()
    writer = WARCWriter(file, gzip=False, warc_version="1.0")
    http = (
        StatusAndHeaders(status, [("Content-Type", content_type), *headers], protocol="HTTP/1.1")
        if kind == "response"
        else None
    )
    writer.write_record(writer.create_warc_record(url, kind, payload=io.BytesIO(html), length=len(html), http_headers=http))
    return file.getvalue()


def page(number: int, words: int = 60) -> bytes:
    """A page that has a text of its own."""
    text = " ".join(f"word{number}x{n}" for n in range(words))
    return f"<html><head><title>t</title></head><body><p>{text}</p></body></html>".encode()


def warc(count: int = 5) -> list[bytes]:
    """A response each."""
    return [record(f"http://a.example/{n}", page(n)) for n in range(count)]


def gzipped(records: Sequence[bytes]) -> bytes:
    """Each a gzip member."""
    return b"".join(gzip.compress(r, mtime=0) for r in records)


def arc(count: int = 3) -> list[bytes]:
    """An ARC's head and as many responses."""
    about = b"1 0 Example\nURL IP-address Archive-date Content-type Archive-length\n"
    out = [b"filedesc://a.arc 0.0.0.0 20140103030321 text/plain %d\n%s\n" % (len(about), about)]
    for n in range(count):
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(n)
        out.append(b"http://a.example/%d 1.2.3.4 20140401000000 text/html %d\n%s\n" % (n, len(http), http))
    return out
