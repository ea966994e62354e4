"""Text from data, made safe to show: on a terminal, in a log, in Markdown and in HTML.

Invariants:

* Everything that comes from data (URLs, ids, titles, file names, model labels, answers of servers) passes through here before
  it is shown. Stored data is never changed.
* `printable` returns one line without control characters, bidirectional marks, invisible characters or lone surrogates. Each is
  written as a Python escape (``\\x1b``, ``\\u202e``), so that a reader sees it. Letters of every script stay as they are.
* Imports the standard library only, and no room of goldwash, so that every room can use it and `goldwash --help` stays fast.
"""

import html
import re

LIMIT = 1000
"""Default of the longest line that is shown, in characters."""

# Controls (C0, DEL, C1), line and paragraph separators, all format characters (general category Cf: zero-width, bidirectional
# marks, embeddings and isolates, soft hyphen, tags), invisible fillers, variation selectors 17 to 256, lone surrogates,
# noncharacters of the first plane. Variation selectors 1 to 16 stay: they are parts of emoji.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PASSWORD = re.compile(r"(?<=://)[^\s/?#'\"]*@")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:^=])")


def printable(text: object, limit: int = LIMIT) -> str:
    r"""One line that is safe to print. Beyond ``limit`` characters it is cut, and its length is given. ``''`` for ``''``.

    >>> print(printable("\x1b[31mred\r\nnext\u202e"))
    \x1b[31mred\r\nnext\u202e
    >>> print(printable("x" * 50, limit=10))
    xxxxxxxxxx… (50 characters)
    """
    shown = str(text)
    length = len(shown)
    if length > limit:
        shown = shown[:limit]
    shown = _UNSAFE.sub(lambda found: _escaped(found[0]), shown)
    return f"{shown}… ({length:,} characters)" if length > limit else shown


def printable_lines(text: object, limit: int = 4 * LIMIT) -> str:
    r"""A message of ours that may hold data: line breaks stay, and each further line is indented so that none looks like ours.

    >>> print(printable_lines("a\nb\x07"))
    a
      b\x07
    """
    return "\n  ".join(printable(line, limit) for line in str(text).split("\n"))


def without_password(text: str) -> str:
    """The text with the user and password of each URL in it replaced by ``***``.

    >>> without_password("no answer from https://me:secret@example.org/crawl")
    'no answer from https://***@example.org/crawl'
    """
    return _PASSWORD.sub("***@", text)


def markdown(text: object, limit: int = LIMIT) -> str:
    r"""Data as plain text inside a line of Markdown: nothing in it becomes a link, an image, emphasis, a table cell or HTML.

    >>> print(markdown("<b>[a](javascript:b)</b>"))
    &lt;b&gt;\[a\]\(javascript\:b\)&lt;/b&gt;
    """
    escaped = _MARKDOWN.sub(r"\\\1", printable(text, limit))
    return html.escape(escaped, quote=False).replace("@", "&#64;")


def markdown_code(text: object, limit: int = LIMIT) -> str:
    """Data as a code span of Markdown, for URLs, ids and file names; also inside a table.

    >>> markdown_code("a`b")
    '``a`b``'
    """
    shown = printable(text, limit).replace("|", "\\u007c")  # a table's cell ends at a bar even inside a code span
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    space = " " if shown[:1] in ("`", " ", "") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def html_text(text: object, limit: int = LIMIT) -> str:
    """Data as text of an HTML document, or as the value of a quoted attribute (of one that takes no URL).

    >>> html_text('<a href="x">')
    '&lt;a href=&quot;x&quot;&gt;'
    """
    return html.escape(printable(text, limit), quote=True)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
