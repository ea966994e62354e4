"""Pages to text: the extractors, by name.

Law: an extractor is a function of a page's HTML that gives its text, "" where it finds none. How good each is on pages whose
text is known, and how fast, stands in docs/extraction.md.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from resiliparse.extract.html2text import extract_plain_text

from goldwash.errors import GoldwashError
from goldwash.pipeline.html.main_content import content, model_id

Extractor = Callable[[Any], str]


class ExtractorError(GoldwashError, ValueError):
    """An extractor that there is not, or not here; the message says how to get it."""


def resiliparse(html: str) -> str:
    """Main content by resiliparse, every option but that one at its default: what DCLM uses (2406.11794, section 4.2)."""
    return str(extract_plain_text(html, main_content=True))


def resiliparse_all(html: str) -> str:
    """All visible text by resiliparse, navigation and boilerplate included."""
    return str(extract_plain_text(html, main_content=False))


def turbohtml(html: str) -> str:
    """Main content by turbohtml: clean on articles, and blind to forums and front pages."""
    return str(_turbo_page(html).main_text())


def turbohtml_all(html: str) -> str:
    """All visible text by turbohtml."""
    return str(_turbo_page(html).to_text())


def trafilatura(html: str) -> str:
    """Main content by trafilatura, without comments: good, and ten times as slow as resiliparse (Barbaresi, ACL 2021)."""
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
"""By name; ``blocks`` is goldwash's own (`pipeline.html.main_content`)."""
OF_UTF8 = (content,)
"""Those that take a page's bytes in UTF-8 as well as its characters, and rather."""


def extractor_of(name: str) -> Extractor:
    """The extractor of a name; raises `ExtractorError` for one that there is not, or whose package is not installed."""
    if name not in EXTRACTORS:
        raise ExtractorError(f"no extractor is called {name!r}: known: {', '.join(EXTRACTORS)}")
    if name == "trafilatura":
        trafilatura("<p>")
    return EXTRACTORS[name]


def version_of(name: str) -> tuple[str, str]:
    """What decides an extractor's text: a package and its version, or blocks and its model."""
    package = name.removesuffix("_all")
    return package, model_id() if package == "blocks" else version(package)


def _turbo_page(html: str) -> Any:
    from turbohtml import parse

    return parse(html)
