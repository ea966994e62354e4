"""The signals of personal data, and the edit that masks it.

Invariants: see `goldwash.filters.personal_data`. The edit repeats until it finds nothing more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.cut import Rows
from goldwash.filters.links import tld_table, top_level_domains
from goldwash.filters.lists import hash_table
from goldwash.filters.ngrams import Hashes, hashes
from goldwash.filters.personal_data.kinds import (
    CARD,
    EMAIL,
    FINEWEB,
    FINEWEB_ADDRESSES,
    FINEWEB_EMAILS,
    IBAN,
    IBAN_LENGTHS,
    IPV4,
    IPV6,
    KINDS,
    PHONE,
    PHONE_WORDS,
    PLACEHOLDER,
    SPECIAL_BLOCKS,
    VERSION_WORDS,
)
from goldwash.filters.personal_data.search import personal_spans, spliced
from goldwash.filters.signals import SignalError, Values, edit, signal
from goldwash.filters.texts import Texts


@signal
def email_count(texts: Texts) -> Values:
    """E-mail addresses with a known top-level domain; 0 for an empty text. ``git@host:`` is no address."""
    return counts(texts)[:, EMAIL]


@signal
def ipv4_count(texts: Texts) -> Values:
    """Public IPv4 addresses, without versions ("version 1.2.3.4", ``nginx/1.2.3.4``); 0 for an empty text."""
    return counts(texts)[:, IPV4]


@signal
def ipv6_count(texts: Texts) -> Values:
    """Public IPv6 addresses of at least three written groups; 0 for an empty text."""
    return counts(texts)[:, IPV6]


@signal
def phone_count(texts: Texts) -> Values:
    """Phone numbers: international, North American, national with a leading 0, or after "Tel"; 0 for an empty text."""
    return counts(texts)[:, PHONE]


@signal
def card_count(texts: Texts) -> Values:
    """Payment card numbers by issuer, length and Luhn's check digit; 0 for an empty text."""
    return counts(texts)[:, CARD]


@signal
def iban_count(texts: Texts) -> Values:
    """IBANs by the country's length and the check digits; 0 for an empty text."""
    return counts(texts)[:, IBAN]


def _tally(texts: Texts, kinds: tuple[str, ...] = KINDS, template: str = "") -> Mapping[str, int]:
    return _masked(texts, tuple(kinds), template)[1]


@edit(tally=_tally)
def mask_personal_data(texts: Texts, kinds: tuple[str, ...] = KINDS, template: str = "") -> Texts:
    """Replace personal data by placeholders; the report counts each kind.

    ``kinds``: those of `KINDS` that are replaced. ``template``: the replacement, in which ``{kind}`` becomes the kind's name;
    by default FineWeb's replacements for e-mail and IP addresses, in turn within each text, and ``<phone>``, ``<card>`` and
    ``<iban>``. Unlike FineWeb's, they do not depend on the documents before.
    """
    return _masked(texts, tuple(kinds), template)[0]


def _masked(texts: Texts, kinds: tuple[str, ...], template: str) -> tuple[Texts, Mapping[str, int]]:
    """The masked texts and the number of replacements by kind; remembered, since the edit and its tally both ask."""
    key = ("masked_personal_data", kinds, template)
    if key not in texts.memo:
        texts.memo[key] = _mask(texts, replacements(kinds, template))
    found: tuple[Texts, Mapping[str, int]] = texts.memo[key]
    return found


def replacements(kinds: Sequence[str], template: str) -> Mapping[str, tuple[str, ...]]:
    """The replacements by kind. `SignalError` for an unknown kind, and for a template that could be personal data itself."""
    for kind in kinds:
        if kind not in KINDS:
            raise SignalError(f"mask_personal_data: kinds has {kind!r}; known: {', '.join(KINDS)}")
    if not template:
        return {kind: FINEWEB[kind] for kind in kinds}
    if any(character in "@+:" or character.isdigit() for character in template):
        raise SignalError(
            f"mask_personal_data: the template {template!r} has digits, '@', '+' or ':', which could make new addresses or "
            "numbers with the text beside it; give one such as '<{kind}>'"
        )
    return {kind: (template.replace("{kind}", "ip" if kind.startswith("ip") else kind),) for kind in kinds}


def _mask(texts: Texts, by_kind: Mapping[str, tuple[str, ...]]) -> tuple[Texts, Mapping[str, int]]:
    """Masked texts. Rows that changed are searched again: a replacement can part what hid a number."""
    replaced: Counter[str] = Counter()
    rows = np.arange(len(texts))
    while len(rows):
        part = texts if len(rows) == len(texts) else texts.take(rows)
        owners, firsts, lasts, found = spans(part)
        chosen = np.isin(found, [KINDS.index(kind) for kind in by_kind])
        owners, firsts, lasts, found = owners[chosen], firsts[chosen], lasts[chosen], found[chosen]
        if not len(owners):
            break
        replaced.update({KINDS[kind]: int(count) for kind, count in zip(*np.unique(found, return_counts=True), strict=True)})
        words, which = _in_turn(owners, found, by_kind)
        changed, utf8, starts, ends = spliced(
            part.utf8, part.starts, part.ends, owners, firsts, lasts, which, words.utf8, words.starts, words.ends
        )
        rows = rows[changed]
        texts = texts.replace(rows, Texts(utf8, starts, ends))
    return texts, dict(replaced)


def _in_turn(owners: Rows, found: Rows, by_kind: Mapping[str, tuple[str, ...]]) -> tuple[Texts, Rows]:
    """The replacements as texts, and the number of each span's: those of one list follow each other within a row."""
    lists = list(dict.fromkeys(by_kind.values()))
    firsts = dict(zip(lists, np.cumsum([0, *map(len, lists)]).tolist(), strict=False))
    which = np.zeros(len(owners), np.int64)
    for listed in lists:
        own = np.flatnonzero(np.isin(found, [KINDS.index(kind) for kind in by_kind if by_kind[kind] == listed]))
        row = owners[own]
        before = np.arange(len(own)) - np.searchsorted(row, row)
        which[own] = firsts[listed] + before % len(listed)
    return Texts.of([word for listed in lists for word in listed]), which


def counts(texts: Texts) -> npt.NDArray[np.int64]:
    """Personal data by kind: ``int64[N, 6]``, columns as in `KINDS`."""

    def make(texts: Texts) -> Values:
        owners, _, _, found = spans(texts)
        out = np.zeros((len(texts), len(KINDS) + 1), np.int64)
        np.add.at(out, (owners, found), 1)
        return out[:, :PLACEHOLDER]

    return np.asarray(texts.remember("personal_data", make))


def spans(texts: Texts) -> tuple[Rows, Rows, Rows, Rows]:
    """Each found span's row, start, end and kind (an index of `KINDS`, or `PLACEHOLDER`), from left to right."""
    found: tuple[Rows, Rows, Rows, Rows] = personal_spans(texts.utf8, texts.starts, texts.ends, *_tables())
    return found


@cache
def _tables() -> tuple[Any, ...]:
    tlds, longest = tld_table(top_level_domains())
    labels = Texts.of(PHONE_WORDS)
    ibans = np.zeros(26 * 26, np.int64)
    for entry in IBAN_LENGTHS.split():
        ibans[(ord(entry[0]) - 65) * 26 + ord(entry[1]) - 65] = int(entry[2:])
    special = np.array(SPECIAL_BLOCKS, np.int64)
    return (
        tlds,
        longest,
        _words(VERSION_WORDS),
        _words((*FINEWEB_EMAILS, *FINEWEB_ADDRESSES)),
        ibans,
        special,
        *(np.ascontiguousarray(part) for part in (labels.utf8, labels.starts, labels.ends)),
    )


def _words(words: Sequence[str]) -> Hashes:
    listed = Texts.of(words)
    table: Hashes = hash_table(hashes(listed.utf8, listed.starts, listed.ends))
    return table
