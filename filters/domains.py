"""Registered domains and top-level domains, by the Public Suffix List of tldextract's snapshot.

Invariants: nothing is fetched. The list is read once per process, which takes 0.1 s, and only when it is used.
"""

from functools import cache
from typing import Any


@cache
def registered_domain(host: str) -> str:
    """The registered domain of a host; the host itself where it has none, such as an address.

    >>> registered_domain("news.example.co.uk"), registered_domain("127.0.0.1"), registered_domain("")
    ('example.co.uk', '127.0.0.1', '')
    """
    return _suffixes()(host).top_domain_under_public_suffix or host


def public_suffixes() -> tuple[str, ...]:
    """The suffixes below which domains are registered, in the order of the list."""
    return tuple(_suffixes().tlds)


@cache
def _suffixes() -> Any:
    import tldextract  # 0.05 s, most of it for requests

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
