"""html5lib's test vectors: the tokenizer's characters against the block reader, and the encodings of its prescan.

No wheel carries the vectors. `make vectors` unpacks the source distribution of ``html5lib-modern``; the tests skip without it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import endec
import pytest

from goldwash.pipeline.html.decoding import meta_charsets, unescaped
from goldwash.pipeline.html.segments import blocks_of

FOLDER = Path(__file__).resolve().parents[3] / ".venv" / "vectors"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no vectors of html5lib: make vectors")

# Cleaning removes controls and noncharacters anyway, and white space is collapsed.
NOT_COMPARED = re.compile(
    "[\x00-\x20\x7f-\xa0\ufeff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
    + "]"
)
"""White space, controls, the byte order mark, and Unicode's noncharacters."""
DIFFERENT = {"</"}
"""A page that ends in ``</`` loses these two characters."""


def cases() -> Iterator[tuple[str, str]]:
    """Each test that begins in the data state and is Unicode text: its input, and its character tokens in one string."""
    for file in sorted(FOLDER.rglob("tokenizer/*.test")):
        for test in json.loads(file.read_text("utf-8")).get("tests", []):
            if "Data state" not in test.get("initialStates", ["Data state"]):
                continue
            escaped = bool(test.get("doubleEscaped"))
            page = _plain(test["input"], escaped)
            text = "".join(_plain(token[1], escaped) for token in test["output"] if token[0] == "Character")
            if not re.search("[\ud800-\udfff]", page + text):
                yield page, text


def _plain(text: str, escaped: bool) -> str:
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), text) if escaped else text


def read(page: str) -> str:
    return unescaped(bytes(blocks_of(page.encode())[0]).decode())


def test_the_block_reader_shows_the_characters_that_the_standard_tokenizes() -> None:
    compared, other = 0, set[str]()
    for page, text in cases():
        compared += 1
        if NOT_COMPARED.sub("", read(page)) != NOT_COMPARED.sub("", text):
            other.add(page)
    assert compared > 6500
    assert other == DIFFERENT


def encodings() -> Iterator[tuple[bytes, str]]:
    for file in sorted(FOLDER.rglob("encoding/tests*.dat")):
        for part in file.read_bytes().split(b"#data\n")[1:]:
            page, _, encoding = part.partition(b"\n#encoding\n")
            yield page, encoding.split(b"\n")[0].decode().strip().lower()


def test_the_prescan_finds_the_encodings_of_the_vectors() -> None:
    """But for byte order marks and UTF-16, which `decoded` handles, and for tags in scripts and styles, which are none."""
    pairs = [(page, wanted) for page, wanted in encodings() if not page.startswith(b"\xef\xbb\xbf") and b"UTF-16" not in page]
    other = [(page, wanted) for page, wanted in pairs if _decoded(_first(meta_charsets(page))) != _decoded(wanted)]
    assert len(pairs) > 50
    assert [page for page, _ in other if b"<script" not in page and b"<style" not in page] == []
    assert len(other) <= 3


def _first(labels: Iterator[str]) -> str:
    """The first label of the standard's; ``windows-1252`` for none."""
    return next((label for label in labels if _decoded(label)), "windows-1252")


def _decoded(label: str) -> str:
    """High bytes as a label decodes them, which tells encodings apart; "" for a label that is none."""
    try:
        return endec.decode(bytes(range(0x80, 0x100)) + b"\x1b$B$\xa4\xa2", label, "replace", bom="ignore")
    except LookupError:
        return ""
