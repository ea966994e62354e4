"""exact: keep one of the documents that have the same text, or the same URL.

Law: two texts are the same if they are so in NFC and case-folded, with runs of white space as one space and none at the ends;
two URLs, if they are so without scheme, "www.", a scheme's own port, fragment, a slash at the end and parameters that only
follow a visitor (`TRACKING`), with the host lowered and parameters sorted. Keys are 128 bits of BLAKE2b. An empty text or URL
is nobody's copy.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.passes import Copies, check_keep, passes_memory
from goldwash.pipeline.stage import Cost, Load, RecipeError

TRACKING = ("utm_", "fbclid", "gclid", "msclkid", "mc_cid", "mc_eid", "igshid", "ref_src")
"""How the names of parameters begin that tell where a visitor comes from, and not what the page is."""


@dataclass(frozen=True)
class Exact(Copies):
    """Keep one of the documents that have the same text, or the same URL."""

    name: ClassVar[str] = "exact"
    rule: ClassVar[str] = "exact_copy"
    by: tuple[str, ...] = ("text",)

    def __post_init__(self) -> None:
        check_keep(self)
        if not self.by or set(self.by) - {"text", "url"}:
            raise RecipeError(f"stage exact: by is {list(self.by)}; expected a list of text, url or both", ("by",))

    @property
    def key_columns(self) -> tuple[tuple[str, int], ...]:
        """A key for the text, one for the URL."""
        return tuple((name, 16) for name in ("text_key", "url_key") if name.removesuffix("_key") in self.by)

    def cost(self, load: Load) -> Cost:
        """Measured (docs/clusters.md); pairs take 50 bytes per document of a slice, components 20 per document."""
        return Cost(24.0, 0.9, 60.0, memory=passes_memory(load))

    def keys(self, table: pa.Table, texts: Texts) -> dict[str, pa.Array]:
        """128-bit hashes of what is compared."""
        made: dict[str, Iterable[str]] = {}
        if "text" in self.by:
            made["text_key"] = map(normal_text, texts)
        if "url" in self.by:
            made["url_key"] = map(normal_url, table["url"].to_pylist())
        return {name: pa.array([_key(value) for value in values], pa.binary(16)) for name, values in made.items()}


def _key(value: str) -> bytes | None:
    return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).digest() if value else None


def normal_text(text: str) -> str:
    """A text as it is compared.

    >>> normal_text("  Cafe\\u0301 \\n AU  lait ")
    'café au lait'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


PORTS: dict[str, Any] = {"http": 80, "https": 443, "ftp": 21}


def normal_url(url: str) -> str:
    """A URL as it is compared; one that cannot be read stays as it is, stripped.

    >>> normal_url("HTTPS://www.Example.com:443/a%7Eb/?utm_source=x&b=2&a=1#top")
    'example.com/a~b?a=1&b=2'
    """
    url = (url or "").strip()
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removeprefix("www.").rstrip("."), parts.port
    except ValueError:
        return url
    if not host:
        return url
    host = f"[{host}]" if ":" in host else host
    place = host if port in (None, PORTS.get(parts.scheme)) else f"{host}:{port}"
    # "surrogateescape": what is escaped in another encoding than UTF-8 stays told apart
    path = quote(unquote(parts.path, errors="surrogateescape"), "/~!$&'()*+,;=:@-._", errors="surrogateescape").rstrip("/")
    found = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
    asked = sorted(pair for pair in found if not pair[0].lower().startswith(TRACKING))
    return place + path + (f"?{urlencode(asked, errors='surrogateescape')}" if asked else "")
