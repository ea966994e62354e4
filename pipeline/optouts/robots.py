"""robots.txt of sites: what of it is kept, and who may not fetch a page (RFC 9309, read by protego).

Invariants: a file is read up to 500 KiB, as RFC 9309 (section 2.5) demands at least and Google does. A body that is no
robots.txt (an HTML page, binary data) has no rules. Which rule of several counts is protego's decision: the group with the
longest matching name, and in it the longest matching path.

``everyone``: whether rules for ``*`` count for an agent that has no group of its own. Without it, only groups that name an
agent say anything about it: ``Disallow: /search`` for everyone is no word about training.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from protego import Protego

from goldwash.pipeline.optouts.agents import AGENTS
from goldwash.pipeline.optouts.pages import signals_of

MOST_BYTES = 500 << 10
_AGENT_LINE = re.compile(r"^[ \t]*user[ -]?agents?[ \t]*:?[ \t]*(.*?)[ \t]*(?:#.*)?$", re.IGNORECASE | re.MULTILINE)
_EVERYONE = re.compile(r"^([ \t]*user[ -]?agent[ \t]*:?)[ \t]*\*[ \t]*(?:#.*)?$", re.IGNORECASE | re.MULTILINE)
_HTML = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype|html|head|body|script|meta|div|\?xml|!--)", re.IGNORECASE | re.DOTALL)
_SIGNAL_LINE = re.compile(r"^[ \t]*content-signal[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)
# Lines that no agent's rules depend on. `Crawl-delay` is not one of them: it ends the group of agents before it.
_OTHER_LINES = re.compile(r"^[ \t]*(?:sitemap|site-map|sitemaps|host)[ \t]*:.*$|#.*$", re.IGNORECASE | re.MULTILINE)
_RULE_LINE = re.compile(r"^[ \t]*(?:dis)?allow[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MARKS = {
    b"\xef\xbb\xbf": "utf-8", b"\xff\xfe\0\0": "utf-32-le", b"\0\0\xfe\xff": "utf-32-be", b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}  # fmt: skip
NOBODY = "no-such-robot-as-this"


@dataclass(frozen=True)
class SiteRules:
    """What of a site's robots.txt is kept."""

    rules: str = ""
    """Its lines without comments, addresses of sitemaps and blank lines."""
    named: tuple[str, ...] = ()
    """The known agents (`AGENTS`) that it names."""
    content_signal: str = ""
    """Its content signals for everyone, as ``ai-train=no, search=yes``."""
    problem: str = ""
    """Why it has no rules: ``html``, ``binary``, ``no_rules``."""
    cut: bool = False
    """Whether it was longer than `MOST_BYTES`."""


def site_rules(body: bytes, charset: str = "") -> SiteRules:
    """What is kept of a robots.txt; ``charset``: that of its HTTP header, for a body that is not UTF-8."""
    cut = len(body) > MOST_BYTES
    text = _text(_whole_lines(body[:MOST_BYTES]) if cut else body, charset)
    if text is None:
        return SiteRules(problem="binary", cut=cut)
    text = "\n".join(text.splitlines())
    names = [name for name in _AGENT_LINE.findall(text) if name]
    page = _HTML.match(text) is not None and not _RULE_LINE.search(text)
    if not names or page:
        return SiteRules(problem="html" if page else "no_rules", cut=cut)
    named = tuple(agent for agent in AGENTS if any(_names(name, agent) for name in names))
    pairs = signals_of(", ".join(_SIGNAL_LINE.findall(text)))
    signal = ", ".join(f"{key}={said}" for key, said in sorted(pairs.items()))
    lines = (line.strip() for line in _OTHER_LINES.sub("", text).splitlines())
    return SiteRules("\n".join(line for line in lines if line), named, signal, "", cut)


def _whole_lines(body: bytes) -> bytes:
    """The lines that end in these bytes; lines may end with a return alone."""
    return body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]


def _text(body: bytes, charset: str) -> str | None:
    """The characters of a robots.txt; None for binary data."""
    for mark, encoding in _MARKS.items():
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    if b"\0" in body[:1024]:
        even, odd = body[:64:2].count(0), body[1:64:2].count(0)
        if even and odd:
            return None
        return body.decode("utf-16-le" if odd else "utf-16-be", "replace")
    for encoding in ("utf-8", charset or "windows-1252"):
        try:
            return body.decode(encoding)
        except (ValueError, LookupError):  # an unknown charset, one that is no charset, or bytes that are not in it
            continue
    return body.decode("latin-1")


def _names(name: str, agent: str) -> bool:
    """Whether a group's name is an agent's, or the beginning of it (protego matches so)."""
    plain, whole = name.lower().replace("*", ""), agent.lower()
    return bool(plain) and whole.startswith(plain)


def disallowed(rules: str, url: str, agents: Sequence[str], everyone: bool = False) -> int:
    """How many of the agents may not fetch the URL."""
    parser = _parser(rules if everyone else _EVERYONE.sub(rf"\1 {NOBODY}", rules))
    return sum(not parser.can_fetch(url, agent) for agent in agents)


@lru_cache(maxsize=4096)
def _parser(rules: str) -> Protego:
    return Protego.parse(rules)
