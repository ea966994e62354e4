"""How much of a page's structure an extractor keeps: tables, preformatted text, lists, titles, formulas, comment threads.

The containers come from the page by lxml, which shares no code with `pipeline.html`. Of those, the ones that are in the known
text are wanted, and each measure says what the extracted text has of them:

- A table row with at least two cells and two words is wanted if its words are in the known text, one after another; a table
  (without a table inside it) if half of its rows are, and two at least. A row is kept if its words are in the extracted text,
  and on one line if they are in one of its lines. A table is torn if some of its wanted rows are kept and others are lost. The
  head row is the first one of a table whose first row has ``<th>``.
- ``<pre>`` of at least two lines and three words is wanted if its words are in the known text. It is whole if they are in the
  extracted text, and exact if its lines are there with their indents.
- Items of ``<ul>``, ``<ol>`` and ``<dl>`` (without lists inside them) are wanted, kept and torn like rows.
- A page's title is its first ``<h1>`` whose words are in the known text.
- A formula is TeX in an annotation, a script, ``alttext`` or an image's ``alt``. It is wanted if the known text has it, and is
  compared by letters and digits.
- A comment thread is three siblings or more whose class or id names comments. It is half kept if the longest paragraphs of
  some comments are in the extracted text and those of others are not, whatever the known text has.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import lxml.html
from lxml.etree import ParserError

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")
_UNREAD = "script style noscript template select textarea svg iframe math object video audio canvas head"
UNREAD = frozenset(_UNREAD.split())
_INLINE = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark nobr q s samp small span strike "
    "strong sub sup time tt u var wbr"
)
INLINE = frozenset(_INLINE.split())
COMMENT = re.compile(r"(?:^|[\s_-])comment(?:s|item|body|wrap)?(?:[\s_-]|$)", re.IGNORECASE)
STYLE = re.compile(r"\\(?:display|text)style")
TEX_SCRIPT = re.compile(r"math/(?:tex|latex|asciimath)", re.IGNORECASE)


def flat(text: str) -> str:
    """A text's words in lower case, with one space before and after each."""
    return f" {' '.join(WORD.findall(text.lower()))} "


def letters(text: str) -> str:
    """The letters and digits of TeX, without the commands that only say how large it is set."""
    return "".join(c for c in STYLE.sub("", text) if c.isalnum())


@dataclass(frozen=True)
class Structure:
    """The containers of a page that its known text has, each text as `flat` or `letters` returns it."""

    tables: tuple[tuple[str, ...], ...]
    """The wanted rows of each wanted table."""
    heads: tuple[str, ...]
    """The head rows among them."""
    pres: tuple[tuple[str, str], ...]
    """The words and the exact lines of each wanted ``<pre>``."""
    lists: tuple[tuple[str, ...], ...]
    title: str
    """The words of the first wanted ``<h1>``; "" for none."""
    formulas: tuple[str, ...]
    threads: tuple[tuple[str, ...], ...]
    """The longest paragraphs of each thread's comments."""


@dataclass
class Counts:
    """Sums over pages of what was wanted and what was kept."""

    rows: int = 0
    rows_kept: int = 0
    rows_on_a_line: int = 0
    tables: int = 0
    torn_tables: int = 0
    heads: int = 0
    heads_kept: int = 0
    pres: int = 0
    pres_whole: int = 0
    pres_exact: int = 0
    items: int = 0
    items_kept: int = 0
    lists: int = 0
    torn_lists: int = 0
    titles: int = 0
    titles_kept: int = 0
    formulas: int = 0
    formulas_kept: int = 0
    threads: int = 0
    half_threads: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def shares(self) -> dict[str, float]:
        """The measures by name, each from 0 to 1; a measure of which there is nothing is left out."""
        return {name: getattr(self, part) / getattr(self, whole) for name, part, whole in SHARES if getattr(self, whole)}


SHARES = (
    ("rows kept", "rows_kept", "rows"),
    ("rows on one line", "rows_on_a_line", "rows"),
    ("torn tables", "torn_tables", "tables"),
    ("head rows kept", "heads_kept", "heads"),
    ("<pre> whole", "pres_whole", "pres"),
    ("<pre> with lines and indents", "pres_exact", "pres"),
    ("list items kept", "items_kept", "items"),
    ("torn lists", "torn_lists", "lists"),
    ("h1 kept", "titles_kept", "titles"),
    ("formulas kept", "formulas_kept", "formulas"),
    ("threads half kept", "half_threads", "threads"),
)
"""The measures: name, part, whole."""


def structure_of(html: str, known: str) -> Structure:
    """The containers of a page that its known text has."""
    try:
        page = lxml.html.fromstring(
            html.encode("utf-8", "replace"), parser=lxml.html.HTMLParser(encoding="utf-8", huge_tree=True)
        )
    except (ParserError, ValueError):
        return Structure((), (), (), (), "", (), ())
    true = flat(known)
    tables, heads = _tables(page, true)
    titles = [flat(_text(h1)) for h1 in page.iter("h1")]
    return Structure(
        tables,
        heads,
        tuple(_pres(page, true)),
        tuple(_lists(page, true)),
        next((title for title in titles if title.strip() and title in true), ""),
        tuple(_formulas(page, letters(known))),
        tuple(_threads(page)),
    )


def counted(wanted: Structure, text: str) -> Counts:
    """What an extracted text has of a page's containers."""
    found, lines = flat(text), [flat(line) for line in text.splitlines()]
    exact, plain = f"\n{_exact(text)}\n", letters(text) if wanted.formulas else ""
    one = " \n ".join(lines)
    counts = Counts(titles=int(bool(wanted.title)), titles_kept=int(bool(wanted.title) and wanted.title in found))
    for rows in wanted.tables:
        kept = sum(row in found for row in rows)
        counts += Counts(len(rows), kept, sum(row in one for row in rows), 1, int(0 < kept < len(rows)))
    for items in wanted.lists:
        kept = sum(item in found for item in items)
        counts += Counts(items=len(items), items_kept=kept, lists=1, torn_lists=int(0 < kept < len(items)))
    for comments in wanted.threads:
        kept = sum(comment in found for comment in comments)
        counts += Counts(threads=1, half_threads=int(0 < kept < len(comments)))
    return counts + Counts(
        heads=len(wanted.heads),
        heads_kept=sum(head in found for head in wanted.heads),
        pres=len(wanted.pres),
        pres_whole=sum(words in found for words, _ in wanted.pres),
        pres_exact=sum(f"\n{lines}\n" in exact for _, lines in wanted.pres),
        formulas=len(wanted.formulas),
        formulas_kept=sum(formula in plain for formula in wanted.formulas),
    )


def _text(element: Any, without: Sequence[str] = ()) -> str:
    """An element's text, with a space at block-level tags, without what a browser does not show."""
    parts: list[str] = []

    def walk(inner: Any) -> None:
        parts.append(inner.text or "")
        for child in inner:
            if isinstance(child.tag, str):
                style = (child.get("style") or "").replace(" ", "").lower()
                if child.tag not in UNREAD and child.tag not in without and "display:none" not in style:
                    space = "" if child.tag in INLINE else " "
                    parts.append(space)
                    walk(child)
                    parts.append(space)
            parts.append(child.tail or "")

    walk(element)
    return "".join(parts)


def _tables(page: Any, true: str) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    tables, heads = [], []
    for table in page.iter("table"):
        if any(True for _ in table.iterdescendants("table")):
            continue
        rows, head = [], ""
        for number, row in enumerate(table.iter("tr")):
            cells = [flat(_text(cell)) for cell in row if cell.tag in ("td", "th")]
            words = flat(" ".join(cells))
            if sum(bool(cell.strip()) for cell in cells) >= 2:
                rows.append(words)
                if number == 0 and any(cell.tag == "th" for cell in row):
                    head = words
        inside = tuple(row for row in rows if row in true)
        if len(inside) >= 2 and 2 * len(inside) >= len(rows):
            tables.append(inside)
            heads += [head] * (head in inside)
    return tuple(tables), tuple(heads)


def _exact(text: str) -> str:
    """A text's lines without space at their ends; no-break spaces are spaces."""
    return "\n".join(line.rstrip() for line in text.replace("\u00a0", " ").replace("\r", "").split("\n"))


def _pres(page: Any, true: str) -> Iterator[tuple[str, str]]:
    for pre in page.iter("pre"):
        for br in pre.iter("br"):
            br.tail = "\n" + (br.tail or "")
        lines = _exact(pre.text_content()).strip("\n")
        words = flat(lines)
        if "\n" in lines.strip() and words.count(" ") > 3 and words in true:
            yield words, lines


def _lists(page: Any, true: str) -> Iterator[tuple[str, ...]]:
    for block in page.iter("ul", "ol", "dl"):
        items = [flat(_text(item, ("ul", "ol", "dl"))) for item in block if item.tag in ("li", "dt", "dd")]
        items = [item for item in items if item.count(" ") > 2]
        inside = tuple(item for item in items if item in true)
        if len(inside) >= 2 and 2 * len(inside) >= len(items):
            yield inside


def _formulas(page: Any, true: str) -> Iterator[str]:
    found = [e.text_content() for e in page.iter("annotation") if "tex" in (e.get("encoding") or "").lower()]
    found += [e.text or "" for e in page.iter("script") if TEX_SCRIPT.match(e.get("type") or "")]
    found += [e.get("alttext") or "" for e in page.iter("math") if not any(True for _ in e.iter("annotation"))]
    found += [e.get("alt") or "" for e in page.iter("img") if {"latex", "tex"} & set((e.get("class") or "").split())]
    for formula in dict.fromkeys(map(letters, found)):
        if len(formula) > 2 and formula in true:
            yield formula


def _threads(page: Any) -> Iterator[tuple[str, ...]]:
    groups: dict[Any, list[str]] = defaultdict(list)
    for element in page.iter("li", "div", "article", "section"):
        if COMMENT.search(f"{element.get('class') or ''} {element.get('id') or ''}") and element.getparent() is not None:
            pieces = [flat(_text(p)) for p in element.iter("p", "blockquote")] or [flat(_text(element, ("ul", "ol")))]
            longest = max(pieces, key=len)
            if longest.count(" ") > 5:
                groups[element.getparent(), element.tag].append(longest)
    for comments in groups.values():
        if len(comments) >= 3:
            yield tuple(comments)
