"""``python -m tests.fuzz -max_total_time=60``: bytes to text under atheris, which is no dependency (pip install atheris).

The bytes are read as an archive of each kind and as a response; nothing may be raised. What is found becomes a case in
tests/pipeline/stages/test_extract.py.
"""

import io
import sys

import atheris

with atheris.instrument_imports(include=["goldwash.pipeline.warc"]):
    from goldwash.pipeline.pages import DOCUMENTS
    from goldwash.pipeline.stages.extract import Extract, text_of
    from goldwash.pipeline.warc.http import TooLarge, response
    from goldwash.pipeline.warc.records import Record, records
    from goldwash.pipeline.warc.wacz import wacz_records

STAGE = Extract(extractor="blocks", html_only=False, max_page_bytes=1 << 20)


def once(data: bytes) -> None:
    """One input."""
    for found in (*records(io.BytesIO(data), len(data), 1 << 20), *wacz_records(io.BytesIO(data), 1 << 20)):
        if isinstance(found, Record) and found.kind in DOCUMENTS:
            text_of(STAGE, found)
    text_of(STAGE, Record("response", 0, len(data), "i", "u", "d", data, len(data)))
    for coding in ("gzip", "deflate", "br", "zstd"):
        try:
            response(b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding.encode() + b"\r\n\r\n" + data, 1 << 20)
        except TooLarge:
            continue


def main() -> None:
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
