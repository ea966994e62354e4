"""The links of a page: where its ``<a href>`` and ``<area href>`` lead.

Invariants: links are absolute URLs of http and https in the normal form of the URL Standard, each once, in the page's order.
They are resolved against ``<base href>``, else against the page's own URL. Links of other schemes, and those that cannot be
resolved, are left out; the part behind ``#`` is cut off. Comments and scripts hold no links.
"""

from collections.abc import Iterable
from typing import Any

import ada_url


def out_links(html: str | bytes, url: str) -> list[str]:
    """The links of a page at ``url``; [] for a page without any. Bytes are UTF-8."""
    from turbohtml import parse

    text = html if isinstance(html, str) else html.decode("utf-8", "replace")
    page = parse(text)
    base = next((element.attrs.get("href") for element in page.find_all(["base"]) if "href" in element.attrs), None)
    return resolved((_text(element.attrs.get("href")) for element in page.find_all(["a", "area"])), url, _text(base))


def resolved(links: Iterable[str], url: str, base: str = "") -> list[str]:
    """Links as absolute URLs, each once, without those of other schemes.

    >>> resolved(["b#c", "//other.example", "mailto:me", "http://[", "b"], "https://a.example/x/")
    ['https://a.example/x/b', 'https://other.example/']
    """
    own = url if _joined(url, "") else "about:blank"  # against which only whole URLs can be resolved
    start = (_joined(own, base) if base.strip() else None) or own
    found = dict.fromkeys(_joined(start, link) for link in links if link)
    return [link for link in found if link is not None]


def _joined(base: str, link: str) -> str | None:
    """A link as an absolute URL without its fragment; None where it is none of http and https."""
    try:
        made: str = ada_url.join_url(base, link)
    except ValueError:
        return None
    return made.partition("#")[0] if made.startswith(("http://", "https://")) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
