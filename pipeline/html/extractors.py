"""Pages to text: the extractors, by name.

Invariants: an extractor is a function from a page's HTML to its text, "" if it finds none. docs/extraction.md compares their
quality on pages whose text is known, and their speed.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from resiliparse.extract.html2text import extract_plain_text

from goldwash.errors import GoldwashError
from goldwash.pipeline.html.main_content import Content, content, model_id

Extractor = Callable[[Any], str]


class ExtractorError(GoldwashError, ValueError):
    """An extractor that does not exist or is not installed; the message says how to install it."""


def resiliparse(html: str) -> str:
    """Main content by resiliparse, all other options at their defaults, as DCLM uses it (arXiv 2406.11794, section 4.2)."""
    return str(extract_plain_text(html, main_content=True))


def resiliparse_all(html: str) -> str:
    """All visible text by resiliparse, navigation and boilerplate included."""
    return str(extract_plain_text(html, main_content=False))


def turbohtml(html: str) -> str:
    """Main content by turbohtml: clean on articles, but it loses most of a forum or front page."""
    return str(_turbo_page(html).main_text())


def turbohtml_all(html: str) -> str:
    """All visible text by turbohtml."""
    return str(_turbo_page(html).to_text())


def trafilatura(html: str) -> str:
    """Main content by trafilatura, without comments (Barbaresi, ACL 2021): good, but ten times slower than resiliparse."""
    try:
        from trafilatura import extract
    except ImportError as error:
        raise ExtractorError("extractor trafilatura is not installed: pip install 'goldwash[trafilatura]'") from error
    return extract(html, include_comments=False) or ""


EXTRACTORS: dict[str, Extractor] = {
    "blocks": content,
    "resiliparse": resiliparse,
    "resiliparse_all": resiliparse_all,
    "turbohtml": turbohtml,
    "turbohtml_all": turbohtml_all,
    "trafilatura": trafilatura,
}
"""Extractors by name; ``blocks`` is goldwash's own (`pipeline.html.main_content`)."""
OF_UTF8 = (Content,)
"""Kinds of extractors that are given a page's bytes in UTF-8 instead of its characters, which saves decoding."""


def extractor_of(name: str, **options: Any) -> Extractor:
    """An extractor by name, ``blocks`` with options of `main_content.Content`.

    Raises `ExtractorError` if none has that name, its package is not installed, or an option other than its default is given to
    another extractor than ``blocks``.
    """
    if name not in EXTRACTORS:
        raise ExtractorError(f"no extractor is called {name!r}: known: {', '.join(EXTRACTORS)}")
    if name == "blocks":
        return Content(**options)
    if changed := [option for option, value in options.items() if value != getattr(content, option)]:
        raise ExtractorError(
            f"{name} has no option {', '.join(changed)}: only the extractor blocks has; set extractor: blocks, or leave the "
            f"{'option' if len(changed) == 1 else 'options'} out"
        )
    if name == "trafilatura":
        trafilatura("<p>")
    return EXTRACTORS[name]


def version_of(name: str) -> tuple[str, str]:
    """The extractor's package and its version; for ``blocks``, a hash of its model and code."""
    package = name.removesuffix("_all")
    return package, model_id() if package == "blocks" else version(package)


def _turbo_page(html: str) -> Any:
    from turbohtml import parse

    return parse(html)
