"""Pages to text: the extractors, by name.

Law: an extractor is a function of a page's HTML that gives its text, "" where it finds none.
"""

from collections.abc import Callable

from resiliparse.extract.html2text import extract_plain_text


def resiliparse(html: str) -> str:
    """Main content by resiliparse, every option but that one at its default: what DCLM uses (2406.11794, section 4.2)."""
    return str(extract_plain_text(html, main_content=True))


def resiliparse_all(html: str) -> str:
    """All visible text by resiliparse, navigation and boilerplate included."""
    return str(extract_plain_text(html, main_content=False))


EXTRACTORS: dict[str, Callable[[str], str]] = {"resiliparse": resiliparse, "resiliparse_all": resiliparse_all}
