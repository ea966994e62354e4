"""Registered domains are those of tldextract, and its list is read once."""

import pytest
import tldextract

from goldwash.filters import domains
from goldwash.filters.domains import public_suffixes, registered_domain
from goldwash.filters.links import top_level_domains


@pytest.mark.parametrize(("host", "domain"), [
    ("a.b.co.uk", "b.co.uk"), ("B.Co.Uk", "B.Co.Uk"), ("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"),
    ("localhost", "localhost"), ("co.uk", "co.uk"), ("gold.github.io", "github.io"), ("", ""),
])  # fmt: skip
def test_registered_domains(host: str, domain: str) -> None:
    assert registered_domain(host) == domain


def test_the_list_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(tldextract.TLDExtract):
        def __init__(self, **given: object) -> None:
            made.append(given)
            super().__init__(suffix_list_urls=(), cache_dir=None)

    monkeypatch.setattr(tldextract, "TLDExtract", Counted)
    for cached in (domains._suffixes, registered_domain, top_level_domains):
        cached.cache_clear()
    assert {registered_domain(f"{n}.gold.example.com") for n in range(3)} == {"example.com"}
    assert "uk" in top_level_domains()
    assert "co.uk" in public_suffixes()
    assert made == [{"suffix_list_urls": (), "cache_dir": None}]
    domains._suffixes.cache_clear()
