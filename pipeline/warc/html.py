"""Pages to text: the extractors, by name, and two of them checked against each other.

Law: an extractor is a function of a page's HTML that gives its text, "" where it finds none. How good each is on pages whose
text is known, and how fast, stands in docs/extraction.md.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from resiliparse.extract.html2text import extract_plain_text

Extractor = Callable[[str], str]


class ExtractorError(ValueError):
    """An extractor that there is not, or not here; the message says how to get it."""


def resiliparse(html: str) -> str:
    """Main content by resiliparse, every option but that one at its default: what DCLM uses (2406.11794, section 4.2)."""
    return str(extract_plain_text(html, main_content=True))


def resiliparse_all(html: str) -> str:
    """All visible text by resiliparse, navigation and boilerplate included."""
    return str(extract_plain_text(html, main_content=False))


def turbohtml(html: str) -> str:
    """Main content by turbohtml: twice as fast, cleaner on articles, and blind to forums and front pages."""
    return str(_turbo_page(html).main_text())


def turbohtml_all(html: str) -> str:
    """All visible text by turbohtml."""
    return str(_turbo_page(html).to_text())


def trafilatura(html: str) -> str:
    """Main content by trafilatura, without comments: the best alone, and ten times as slow (Barbaresi, ACL 2021)."""
    try:
        from trafilatura import extract
    except ImportError as error:
        raise ExtractorError("extractor trafilatura is not installed: pip install 'goldwash[trafilatura]'") from error
    return extract(html, include_comments=False) or ""


EXTRACTORS: dict[str, Extractor] = {
    f.__name__: f for f in (resiliparse, resiliparse_all, turbohtml, turbohtml_all, trafilatura)
}
PACKAGES = {"resiliparse_all": "resiliparse", "turbohtml_all": "turbohtml"}
"""Whose version decides what an extractor gives, where its name is another."""


def extractor_of(named: str | Mapping[str, Any]) -> Extractor:
    """The extractor of a name, or of a mapping: two that are checked against each other, in one of these ways.

    ``{first, min_length, min_share, second}``: the first one's text (``turbohtml``'s alone can be judged so) where it has so
    many characters, and so large a share of all that is visible; the second one's elsewhere. ``{first, beside, min_agreement,
    second}``: the first one's text where a second opinion agrees with it, by Dice's coefficient of their words; a third one's
    elsewhere. Raises `ExtractorError` for anything else, and where an extractor's package is not installed.
    """
    if isinstance(named, str):
        if named not in EXTRACTORS:
            raise ExtractorError(f"no extractor is called {named!r}: known: {', '.join(EXTRACTORS)}")
        if named == "trafilatura":
            trafilatura("<p>")
        return EXTRACTORS[named]
    if set(named) == {"first", "min_length", "min_share", "second"} and named["first"] == "turbohtml":
        return _ample(float(named["min_length"]), float(named["min_share"]), extractor_of(named["second"]))
    if set(named) == {"first", "beside", "min_agreement", "second"}:
        voices = [extractor_of(named[key]) for key in ("first", "beside", "second")]
        return _agreed(voices[0], voices[1], float(named["min_agreement"]), voices[2])
    raise ExtractorError(
        f"{dict(named)} is no pair of extractors: expected {{first: turbohtml, min_length, min_share, second}}, or "
        "{first, beside, min_agreement, second}"
    )


def names_of(named: str | Mapping[str, Any]) -> list[str]:
    """The packages that decide what an extractor gives."""
    names = [named] if isinstance(named, str) else [v for v in named.values() if isinstance(v, str)]
    return sorted({PACKAGES.get(name, name) for name in names})


def _turbo_page(html: str) -> Any:
    from turbohtml import parse

    return parse(html)


def _ample(length: float, share: float, second: Extractor) -> Extractor:
    def extract(html: str) -> str:
        page = _turbo_page(html)
        text = str(page.main_text())
        if len(text) >= length and len(text) >= share * len(page.to_text()):
            return text
        return second(html)

    return extract


def _agreed(first: Extractor, beside: Extractor, agreement: float, second: Extractor) -> Extractor:
    def extract(html: str) -> str:
        text = first(html)
        return text if dice(text, beside(html)) >= agreement else second(html)

    return extract


def dice(one: str, other: str) -> float:
    """Dice's coefficient of two texts' words, as often as they stand there; of two empty texts, 1.

    >>> dice("gold in the pan", "gold in the river"), dice("", "gold"), dice("", "")
    (0.75, 0.0, 1.0)
    """
    words = Counter(one.split()), Counter(other.split())
    total = words[0].total() + words[1].total()
    return 2 * (words[0] & words[1]).total() / total if total else 1.0
