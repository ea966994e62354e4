"""Personal data in texts: e-mail addresses, public IP addresses, phone numbers, payment cards and IBANs, counted and masked.

Invariants:

- What is found in a text depends on that text alone. Found spans do not overlap; each has one kind of `KINDS`.
- A check decides wherever there is one: a top-level domain for e-mail addresses, IANA's registries for IP addresses, Luhn and
  the issuer's digits for cards, the country's length and the check digits for IBANs, the area code's form for North American
  phone numbers. Other phone numbers need a ``+``, a word such as "Tel" before them, or the form of a national number.
- Boundaries are ASCII letters, digits and ``_``, so that an address between Chinese characters is found.
- Masking is idempotent: a replacement is no personal data, and the edit repeats until it finds nothing more.

``tests/reference.py`` has the same rules as regular expressions. docs/personal-data.md has precision and recall on real pages,
and what is not found. Sources: RFC 5322 and RFC 1035 (with FineWeb's restriction to ASCII), the IANA IPv4 and IPv6
special-purpose registries, ISO/IEC 7812 (cards), the SWIFT IBAN registry (release 99), ITU-T E.164 and the North American
Numbering Plan (phones). Replacements of addresses are FineWeb's (datatrove, ``formatters/pii.py``).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.bits import DIGITS, block, lowest
from goldwash.filters.cut import Bytes, Rows, room_for
from goldwash.filters.jit import inline, kernel
from goldwash.filters.links import tld_table, top_level_domains
from goldwash.filters.lists import hash_table, in_table
from goldwash.filters.ngrams import Hashes, hashes, row_hash
from goldwash.filters.signals import SignalError, Values, edit, signal
from goldwash.filters.texts import Texts, copied

KINDS = ("email", "ipv4", "ipv6", "phone", "card", "iban")
"""The kinds of personal data, in the order of the columns of `counts`."""
EMAIL, IPV4, IPV6, PHONE, CARD, IBAN = range(6)
PLACEHOLDER = 6
"""The kind of a span that is one of FineWeb's replacements: it is left as it is, and not counted."""

FINEWEB_EMAILS = ("email@example.com", "firstname.lastname@example.org")
FINEWEB_ADDRESSES = (
    "22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168",
)  # fmt: skip
FINEWEB: Mapping[str, tuple[str, ...]] = {
    "email": FINEWEB_EMAILS, "ipv4": FINEWEB_ADDRESSES, "ipv6": FINEWEB_ADDRESSES,
    "phone": ("<phone>",), "card": ("<card>",), "iban": ("<iban>",),
}  # fmt: skip
"""Replacements by kind, used in turn within a text. FineWeb has none for phones, cards and IBANs."""

PHONE_WORDS = (
    "tel", "telephone", "phone", "ph", "mobile", "mob", "cell", "fax", "telefax", "whatsapp", "hotline", "phone number",
    "telephone number", "mobile number", "cell number", "phone no", "tel no", "tél", "téléphone", "telefon", "telefonnummer",
    "telefono", "teléfono", "telefone", "telefoon", "telefonu", "handy", "mobil", "móvil", "celular", "cellulare", "тел",
    "телефон", "факс", "电话", "電話", "手机", "手機", "전화", "โทร", "thoại", "τηλ", "τηλέφωνο", "هاتف", "☎", "📞",
)  # fmt: skip
"""Words before a phone number, in lower case; those that begin with an ASCII letter are whole words."""
VERSION_WORDS = (
    "version", "versions", "ver", "v", "release", "build", "section", "sections", "sec", "chapter", "firmware", "revision",
    "rev",
)  # fmt: skip
"""Words before four numbers with dots that are no address: software versions and sections of standards."""

_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
"""Characters of an IBAN by country (SWIFT IBAN registry)."""
_SPECIAL = (
    (0x00000000, 8), (0x0A000000, 8), (0x64400000, 10), (0x7F000000, 8), (0xA9FE0000, 16), (0xAC100000, 12), (0xC0000000, 24),
    (0xC0000200, 24), (0xC0A80000, 16), (0xC6120000, 15), (0xC6336400, 24), (0xCB007100, 24), (0xE0000000, 3),
)  # fmt: skip
"""IPv4 blocks that belong to nobody in public: private, reserved, documentation, multicast (IANA), as ``(address, bits)``."""


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
    for entry in _IBANS.split():
        ibans[(ord(entry[0]) - 65) * 26 + ord(entry[1]) - 65] = int(entry[2:])
    special = np.array(_SPECIAL, np.int64)
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


# --- bytes


@inline
def _is_digit(b: int) -> Any:
    return 48 <= b <= 57


@inline
def _is_letter(b: int) -> Any:
    return 97 <= (b | 32) <= 122


@inline
def _is_word(b: int) -> Any:
    """ASCII letters, digits and ``_``."""
    return _is_digit(b) or _is_letter(b) or b == 95


@inline
def _is_local(b: int) -> Any:
    """Characters of an e-mail address before its ``@``: letters, digits and ``._%+'&-``."""
    return _is_word(b) or b == 46 or b == 37 or b == 43 or b == 39 or b == 38 or b == 45


@inline
def _hex(b: int) -> Any:
    """The value of a hexadecimal digit; -1 if it is none."""
    if _is_digit(b):
        return np.int64(b) - 48
    small = np.int64(b) | 32
    return small - 87 if 97 <= small <= 102 else np.int64(-1)


@inline
def _word_at(utf8: Bytes, i: int, end: int) -> Any:
    return i < end and _is_word(utf8[i])


@inline
def _leads_to_address(utf8: Bytes, i: int, end: int) -> Any:
    """Whether up to 64 characters of an e-mail address and an ``@`` follow: a number before them is part of the address."""
    stop = min(end, i + 65)
    while i < stop and _is_local(utf8[i]):
        i += 1
    return i < stop and utf8[i] == 64


@inline
def _separator(utf8: Bytes, i: int, end: int) -> Any:
    """Of a separator inside a number: its kind (1 space, 2 hyphen, 4 dot, 8 slash, 16 parenthesis; 0: none) and its bytes."""
    if i >= end:
        return 0, 1
    b = utf8[i]
    if b == 32:
        return 1, 1
    if b == 45:
        return 2, 1
    if b == 46:
        return 4, 1
    if b == 47:
        return 8, 1
    if b == 40 or b == 41:
        return 16, 1
    if b == 0xC2 and i + 1 < end and utf8[i + 1] == 0xA0:
        return 1, 2
    if b == 0xE2 and i + 2 < end and utf8[i + 1] == 0x80:  # hyphens and the en dash
        c = utf8[i + 2]
        if c == 0x90 or c == 0x91 or c == 0x93:
            return 2, 3
    return 0, 1


# --- e-mail addresses


@inline
def _domain_end(utf8: Bytes, start: int, end: int, tlds: Hashes, longest: int) -> Any:
    """The end of the longest domain that begins at ``start``, has two labels or more and a known last one; -1 if there is none.

    The last label may end at a hyphen: ``mail@example.com-more``.
    """
    best: Any = -1
    i: Any = start
    label: Any = start
    while i - start <= 255:
        inside = i < end and (_is_digit(utf8[i]) or _is_letter(utf8[i]) or utf8[i] == 45)
        hyphen = inside and utf8[i] == 45
        if hyphen and i == label:
            break
        if not inside or hyphen:
            known = i > label and utf8[i - 1] != 45 and label > start and i - label <= longest
            if known and in_table(tlds, row_hash(utf8, label, i, True)):
                best = i
        if not inside:
            if i >= end or utf8[i] != 46 or i == label or utf8[i - 1] == 45:
                break
            label = i + 1
        i += 1
    return best


@inline
def _email(utf8: Bytes, at: int, floor: int, end: int, tlds: Hashes, longest: int) -> Any:
    """The start and end of the address around an ``@``; ``(-1, -1)`` if there is none."""
    stop = _domain_end(utf8, at + 1, end, tlds, longest)
    if stop < 0 or at == floor:
        return -1, -1
    last = utf8[at - 1]
    if not (_is_word(last) or last == 43 or last == 45):
        return -1, -1
    start = at
    while start > floor and at - start < 64 and _is_local(utf8[start - 1]):
        start -= 1
    while start < at and not _is_word(utf8[start]):
        start += 1
    if start == at:
        return -1, -1
    git = at - start == 3 and utf8[start] == 103 and utf8[start + 1] == 105 and utf8[start + 2] == 116
    if git and stop < end and utf8[stop] == 58:  # git@github.com:user/repository
        return -1, -1
    return start, stop


# --- IP addresses


@inline
def _in_version(utf8: Bytes, i: int, floor: int, words: Hashes) -> Any:
    """Whether a letter and a slash, or a word as "version", comes before byte ``i``."""
    if i - floor >= 2 and utf8[i - 1] == 47 and _is_letter(utf8[i - 2]):
        return True
    gap = 0
    while gap < 3 and i > floor:
        if utf8[i - 1] == 32 or utf8[i - 1] == 46 or utf8[i - 1] == 58:
            i -= 1
        elif utf8[i - 1] == 0xA0 and i - 1 > floor and utf8[i - 2] == 0xC2:
            i -= 2
        else:
            break
        gap += 1
    if gap == 0:
        return False
    start = i
    while start > floor and i - start < 16 and _is_letter(utf8[start - 1]):
        start -= 1
    return i > start and in_table(words, row_hash(utf8, start, i, True))


@inline
def _ipv4_end(utf8: Bytes, i: int, end: int, special: Any) -> Any:
    """The end of a public IPv4 address in decimal form at byte ``i``; -1 if there is none."""
    address = np.int64(0)
    for group in range(4):
        value, digits = np.int64(0), 0
        while i < end and digits < 4 and _is_digit(utf8[i]):
            value = value * 10 + utf8[i] - 48
            i += 1
            digits += 1
        if digits == 0 or digits > 3 or value > 255 or (digits > 1 and utf8[i - digits] == 48):
            return -1
        address = (address << 8) | value
        if group < 3:
            if i >= end or utf8[i] != 46:
                return -1
            i += 1
    if _word_at(utf8, i, end) or (i + 1 < end and utf8[i] == 46 and _is_digit(utf8[i + 1])):
        return -1
    for k in range(len(special)):
        if (address ^ special[k, 0]) >> (32 - special[k, 1]) == 0:
            return -1
    return -1 if _leads_to_address(utf8, i, end) else i


@inline
def _ipv6_end(utf8: Bytes, start: int, end: int) -> Any:
    """The end of a public IPv6 address at byte ``start``; -1 if there is none.

    Public addresses begin with 2000 to 3fff. Without Teredo and 2001::/23, 2001:db8::/32, 2002::/16 and 3fff::/20.
    """
    i: Any = start
    groups, digits, first, second = 0, 0, np.int64(0), np.int64(0)
    gap = False
    done = False
    while not done:
        value = _hex(utf8[i]) if i < end else np.int64(-1)
        if value >= 0:
            digits += 1
            if digits > 4:
                return -1
            if groups == 0:
                first = first * 16 + value
            elif groups == 1 and not gap:
                second = second * 16 + value
            i += 1
            continue
        groups += digits > 0
        if groups == 1 and digits != 4 and i - start <= 4:
            return -1
        digits = 0
        if i >= end or utf8[i] != 58:
            done = True
        elif i + 1 < end and utf8[i + 1] == 58:
            if gap:
                return -1
            gap = True
            i += 2
            if i < end and utf8[i] == 58:
                return -1
        elif i + 1 < end and _hex(utf8[i + 1]) >= 0:
            i += 1
        else:
            done = True
    if _word_at(utf8, i, end) or (i + 1 < end and utf8[i] == 46 and _is_digit(utf8[i + 1])):
        return -1
    if groups < 3 or (groups != 8 and not gap) or (gap and groups > 7) or not 0x2000 <= first <= 0x3FFF:
        return -1
    if first == 0x2001 and (second < 0x200 or second == 0xDB8):
        return -1
    return -1 if first == 0x2002 or (first == 0x3FFF and second < 0x1000) else i


# --- numbers in groups: cards, IBANs, phones


@inline
def _check_digits(utf8: Bytes, start: int) -> Any:
    """An IBAN's country and check digits as the six digits that are moved to its end."""
    letters = (np.int64(utf8[start]) - 55) * 100 + np.int64(utf8[start + 1]) - 55
    return letters * 100 + (np.int64(utf8[start + 2]) - 48) * 10 + np.int64(utf8[start + 3]) - 48


@inline
def _iban_end(utf8: Bytes, start: int, end: int, ibans: Rows) -> Any:
    """The end of an IBAN that begins at byte ``start`` with two capitals; -1 if there is none."""
    size = ibans[(np.int64(utf8[start]) - 65) * 26 + np.int64(utf8[start + 1]) - 65]
    if size == 0:
        return -1
    rest, seen = np.int64(0), 0
    i: Any = start
    while seen < size:
        if i >= end:
            return -1
        b = np.int64(utf8[i])
        if _is_digit(b):
            value = b - 48
        elif 65 <= b <= 90:
            value = b - 55
        else:
            kind, width = _separator(utf8, i, end)
            after = i + width
            if (kind != 1 and b != 45) or seen < 4 or after >= end or not _is_word(utf8[after]):
                return -1
            i = after
            continue
        if seen >= 4:  # the country and the check digits come last
            rest = (rest * (100 if value > 9 else 10) + value) % 97
        seen += 1
        i += 1
    if _word_at(utf8, i, end) or (rest * 1000000 + _check_digits(utf8, start)) % 97 != 1:
        return -1
    return -1 if _leads_to_address(utf8, i, end) else i


MOST_DIGITS = 19
"""Digits of the longest card number; a phone number has at most 15."""


@inline
def _groups(utf8: Bytes, i: int, end: int, out: Any) -> Any:
    """The groups of digits from byte ``i``, up to `MOST_DIGITS`: their number, and whether more digits follow.

    ``out: int64[20, 4]``: start, end, kinds of the separators after it, and their number. A group that a letter follows is not
    part of the number; the first one then makes it empty.
    """
    n, total = 0, 0
    while True:
        start = i
        while i < end and _is_digit(utf8[i]) and i - start <= MOST_DIGITS:
            i += 1
        if total + i - start > MOST_DIGITS:
            return n, True
        if _word_at(utf8, i, end):
            return n, False
        total += i - start
        out[n, 0], out[n, 1], out[n, 2], out[n, 3] = start, i, 0, 0
        n += 1
        kinds, gap, at = 0, 0, i
        while gap < 3:
            kind, width = _separator(utf8, at, end)
            if kind == 0:
                break
            kinds |= kind
            at += width
            gap += 1
        sentence = gap > 1 and kinds & 4 != 0  # "12. 34"
        if gap == 0 or sentence or at >= end or not _is_digit(utf8[at]):
            return n, False
        out[n - 1, 2], out[n - 1, 3] = kinds, gap
        i = at


@inline
def _ends_here(utf8: Bytes, i: int, end: int) -> Any:
    """Whether a number may end before byte ``i``: no digits follow a dot, slash or colon, no word a hyphen, and no address."""
    if i + 1 < end and _is_word(utf8[i + 1]):
        b = utf8[i]
        if b == 45 or (_is_digit(utf8[i + 1]) and (b == 46 or b == 47 or b == 58)):
            return False
    return not _leads_to_address(utf8, i, end)


@inline
def _issued(utf8: Bytes, groups: Any, n: int) -> Any:
    """Whether the first ``n`` groups are a card number: an issuer's first digits, its lengths, and Luhn's check digit."""
    size, six = 0, np.int64(0)
    for g in range(n):
        for i in range(groups[g, 0], groups[g, 1]):
            if size < 4:
                six = six * 10 + utf8[i] - 48
            size += 1
    if size < 13:
        return False
    two, three = six // 100, six // 10
    long_ = size >= 16
    visa = 40 <= two <= 49 and (size == 13 or size == 16 or size == 19)
    mastercard = size == 16 and (51 <= two <= 55 or 2221 <= six <= 2720)
    amex = size == 15 and (two == 34 or two == 37)
    discover = long_ and (six == 6011 or 644 <= three <= 649 or two == 65 or two == 62 or 3528 <= six <= 3589)
    diners = size >= 14 and (300 <= three <= 305 or two == 36 or two == 38 or two == 39)
    if not (visa or mastercard or amex or discover or diners):
        return False
    total, k = np.int64(0), size
    for g in range(n):
        for i in range(groups[g, 0], groups[g, 1]):
            digit = np.int64(utf8[i]) - 48
            if k % 2 == 0:
                digit = 2 * digit - 9 if digit > 4 else 2 * digit
            total += digit
            k -= 1
    return total % 10 == 0


@inline
def _card_end(utf8: Bytes, floor: int, end: int, groups: Any, n: int) -> Any:
    """The end of a card number that begins with the first group; -1 if there is none."""
    start = groups[0, 0]
    if start > floor:
        b = utf8[start - 1]
        between = b == 46 or b == 47 or b == 45
        if b == 43 or (between and start - 1 > floor and _is_digit(utf8[start - 2])):
            return -1
    most = 1
    if groups[0, 1] - start == 4:
        while most < min(n, 5):
            gap, size = groups[most - 1, 2], groups[most, 1] - groups[most, 0]
            if groups[most - 1, 3] != 1 or gap != groups[0, 2] or gap > 2:
                break
            third = most == 2 and (size == 4 or size == 5) and groups[1, 1] - groups[1, 0] == 6
            if not (size == 4 or (most == 1 and size == 6) or third or (most > 2 and size < 4)):
                break
            most += 1
    for k in range(most, 0, -1):
        if _issued(utf8, groups, k) and _ends_here(utf8, groups[k - 1, 1], end):
            return groups[k - 1, 1]
    return -1


@inline
def _digit(utf8: Bytes, groups: Any, n: int, number: int) -> Any:
    """A digit of a number in groups, counted from 0; -1 if it has fewer."""
    for g in range(n):
        size = groups[g, 1] - groups[g, 0]
        if number < size:
            return np.int64(utf8[groups[g, 0] + number]) - 48
        number -= size
    return np.int64(-1)


@inline
def _most(utf8: Bytes, end: int, groups: Any, n: int, least: int) -> Any:
    """The number of groups of the longest phone number of ``least`` to 15 digits; 0 if there is none."""
    total, best = 0, 0
    for g in range(n):
        total += groups[g, 1] - groups[g, 0]
        if total > 15:
            break
        if total >= least and _ends_here(utf8, groups[g, 1], end):
            best = g + 1
    return best


@inline
def _international(utf8: Bytes, end: int, groups: Any, n: int) -> Any:
    """The number of groups of a number after a ``+``; 0 if it is none. Round millions ("+50 000 000") are none."""
    first = _digit(utf8, groups, n, 0)
    if first == 0:
        return 0
    if first == 1:
        total = 0
        for g in range(n):
            total += groups[g, 1] - groups[g, 0]
            if total == 11:
                plan = _digit(utf8, groups, n, 1) >= 2 and _digit(utf8, groups, n, 4) >= 2
                return g + 1 if plan and _ends_here(utf8, groups[g, 1], end) else 0
        return 0
    best = _most(utf8, end, groups, n, 8)
    if best > 0:
        total = 0
        for g in range(best):
            total += groups[g, 1] - groups[g, 0]
        for k in range(total - 6, total):
            if _digit(utf8, groups, best, k) != 0:
                return best
    return 0


@inline
def _american(utf8: Bytes, floor: int, end: int, groups: Any, n: int) -> Any:
    """The number of groups of a North American number, ``(555) 555-0100`` or ``1-555-555-0100``; 0 if it is none."""
    lead = 1 if groups[0, 1] - groups[0, 0] == 1 and utf8[groups[0, 0]] == 49 else 0
    if n < lead + 3 or (lead == 1 and groups[0, 3] > 2):
        return 0
    area, exchange, line = lead, lead + 1, lead + 2
    sizes = groups[area, 1] - groups[area, 0] == 3 and groups[exchange, 1] - groups[exchange, 0] == 3
    if not sizes or groups[line, 1] - groups[line, 0] != 4:
        return 0
    if utf8[groups[area, 0]] < 50 or utf8[groups[exchange, 0]] < 50:
        return 0
    first, second = groups[area, 2], groups[exchange, 2]
    if groups[exchange, 3] != 1 or groups[area, 3] > 2 or second > 4:
        return 0
    enclosed = (first & 16) != 0 and groups[area, 0] > floor and utf8[groups[area, 0] - 1] == 40
    spaced = first == 1 and second == 1 and n == line + 1
    if not (enclosed or spaced or (second == 2 and first <= 8) or (first == 4 and second == 4)):
        return 0
    return line + 1 if _ends_here(utf8, groups[line, 1], end) else 0


@inline
def _national(utf8: Bytes, end: int, groups: Any, n: int, more: bool) -> Any:
    """The number of groups of a national number with a leading 0, ``030 1234 5678`` or ``(030) 12345678``; 0 if it is none."""
    if utf8[groups[0, 0]] != 48 or groups[0, 1] - groups[0, 0] < 2 or utf8[groups[0, 0] + 1] == 48:
        return 0
    total, k = 0, 0
    while k < n:
        if groups[k, 1] - groups[k, 0] < 2:
            return 0
        total += groups[k, 1] - groups[k, 0]
        k += 1
        if groups[k - 1, 3] > 2:
            break
    if not 9 <= total <= 11 or (more and k == n):
        return 0
    marked = (groups[0, 2] & 24) != 0
    if k == 3 and total == 9 and groups[0, 1] - groups[0, 0] == 2:
        return 0  # 08-16-00334, a court's case
    if k == 1 or (k == 2 and not (marked and 3 <= groups[0, 1] - groups[0, 0] <= 6)):
        return 0
    for g in range(1, k - 1):
        if groups[g, 3] != 1 or groups[g, 2] != groups[1, 2]:
            return 0
    if k > 2 and not (marked or groups[0, 2] == 2 or (groups[0, 2] == groups[1, 2] and groups[0, 3] == 1)):
        return 0
    return k if _ends_here(utf8, groups[k - 1, 1], end) else 0


@inline
def _labelled(utf8: Bytes, i: int, floor: int, words: Bytes, word_starts: Rows, word_ends: Rows) -> Any:
    """Whether a phone word, and up to four of ``.:(-`` and spaces, come before byte ``i``."""
    gap = 0
    if i > floor and utf8[i - 1] == 45:
        return False
    while gap < 4 and i > floor:
        b = utf8[i - 1]
        if b == 32 or b == 46 or b == 58 or b == 40 or b == 45:
            i -= 1
        elif b == 0xA0 and i - 1 > floor and utf8[i - 2] == 0xC2:
            i -= 2
        elif b == 0x9A and i - 2 > floor and utf8[i - 2] == 0xBC and utf8[i - 3] == 0xEF:  # full-width colon
            i -= 3
        else:
            break
        gap += 1
    for w in range(len(word_starts)):
        size = word_ends[w] - word_starts[w]
        start = i - size
        if start < floor:
            continue
        same = True
        for k in range(size):
            b = utf8[start + k]
            if 65 <= b <= 90:
                b += 32
            if b != words[word_starts[w] + k]:
                same = False
                break
        if same and not (_is_letter(words[word_starts[w]]) and start > floor and _is_letter(utf8[start - 1])):
            return True
    return False


@inline
def _phone_groups(
    utf8: Bytes, floor: int, end: int, groups: Any, n: int, more: bool, words: Bytes, word_starts: Rows, word_ends: Rows
) -> Any:
    """The number of groups of the phone number that begins with the first one; 0 if there is none."""
    start = groups[0, 0]
    before = np.int64(utf8[start - 1]) if start > floor else np.int64(32)
    if before == 43:
        glued = start - 1 > floor and (_is_word(utf8[start - 2]) or utf8[start - 2] == 43)
        return 0 if glued else _international(utf8, end, groups, n)
    free = not (before == 46 or before == 47 or before == 45 or before == 61 or before == 35 or before == 37 or before == 36)
    if free:
        found = _american(utf8, floor, end, groups, n)
        if found > 0:
            return found
    if _labelled(utf8, start, floor, words, word_starts, word_ends):
        found = _most(utf8, end, groups, n, 7)
        if found > 0:
            return found
    return _national(utf8, end, groups, n, more) if free else 0


@inline
def _with_parenthesis(utf8: Bytes, start: int, stop: int, floor: int) -> Any:
    """The start of a span, one earlier if a parenthesis that closes in it opens there."""
    if start > floor and utf8[start - 1] == 40:
        for i in range(start, stop):
            if utf8[i] == 40:
                return start
            if utf8[i] == 41:
                return start - 1
    return start


@inline
def _digits_follow(utf8: Bytes, i: int, end: int) -> Any:
    """Whether byte ``i`` could begin a number of seven digits: a cheap test that most numbers of a page fail."""
    stop = min(end, i + 64)
    count = 0
    while i < stop:
        b = utf8[i]
        if _is_digit(b):
            count += 1
            if count == 7:
                return True
        elif b < 0x80 and not (b == 32 or b == 40 or b == 41 or 45 <= b <= 47):
            return False
        i += 1
    return False


@kernel
def personal_spans(
    utf8: Bytes, starts: Rows, ends: Rows, tlds: Hashes, longest: int, versions: Hashes, placeholders: Hashes, ibans: Rows,
    special: Any, words: Bytes, word_starts: Rows, word_ends: Rows,
) -> Any:  # fmt: skip
    """Personal data from left to right: ``(rows, starts, ends, kinds)``, ``int64[M]`` each.

    The search is for ``@`` and for the first digit of each run of digits.
    """
    room = room_for(starts, ends, 6, 0)
    rows, span_starts, span_ends = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    kinds = np.empty(room, np.int64)
    groups = np.empty((20, 4), np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        floor, end = starts[row], ends[row]
        begin = floor
        place, last = np.uint64(floor), np.uint64(end)
        carry = np.uint64(0)
        while place < last:
            digits = block(utf8, place, last, DIGITS)
            found = block(utf8, place, last, 64) | (digits & ~((digits << np.uint64(1)) | carry))
            carry = digits >> np.uint64(63)
            while found != np.uint64(0):
                i = np.int64(place) + lowest(found)
                found &= found - np.uint64(1)
                if i < floor:
                    continue
                kind, start, stop = np.int64(-1), i, np.int64(-1)
                if utf8[i] == 64:
                    start, stop = _email(utf8, i, floor, end, tlds, longest)
                    kind = np.int64(EMAIL)
                else:
                    before = np.int64(utf8[i - 1]) if i > begin else np.int64(32)
                    if 65 <= before <= 90 and i - 2 >= floor and 65 <= utf8[i - 2] <= 90 and i + 1 < end:
                        if _is_digit(utf8[i + 1]) and not (i - 2 > begin and _is_word(utf8[i - 3])):
                            start = i - 2
                            stop = _iban_end(utf8, start, end, ibans)
                            kind = np.int64(IBAN)
                    if stop < 0 and not _is_word(before):
                        start = i
                        colon = i + 4 < end and utf8[i + 4] == 58
                        if colon and before != 58 and (utf8[i] == 50 or utf8[i] == 51):
                            stop = _ipv6_end(utf8, i, end)
                            kind = np.int64(IPV6)
                        dotted = i + 6 < end and (utf8[i + 1] == 46 or utf8[i + 2] == 46 or utf8[i + 3] == 46)
                        if stop < 0 and (dotted or i + 6 >= end):
                            if not (before == 46 and i - 2 >= begin and _is_digit(utf8[i - 2])):
                                stop = _ipv4_end(utf8, i, end, special)
                                kind = np.int64(IPV4)
                                if stop >= 0 and _in_version(utf8, i, begin, versions):
                                    stop = np.int64(-1)
                        if stop < 0 and _digits_follow(utf8, i, end):
                            size, more = _groups(utf8, i, end, groups)
                            if size > 0:
                                stop = _card_end(utf8, begin, end, groups, size)
                                kind = np.int64(CARD)
                                if stop < 0:
                                    size = _phone_groups(utf8, begin, end, groups, size, more, words, word_starts, word_ends)
                                    if size > 0:
                                        stop = groups[size - 1, 1]
                                        start = i - 1 if before == 43 else i
                                        start = _with_parenthesis(utf8, start, stop, begin)
                                        kind = np.int64(PHONE)
                if stop >= 0:
                    if kind <= IPV4 and in_table(placeholders, row_hash(utf8, start, stop, False)):
                        kind = np.int64(PLACEHOLDER)
                    rows[n], span_starts[n], span_ends[n], kinds[n] = row, start, stop, kind
                    n += 1
                    floor = stop
            place += np.uint64(64)
    return rows[:n], span_starts[:n], span_ends[:n], kinds[:n]


@kernel
def spliced(
    utf8: Bytes, starts: Rows, ends: Rows, rows: Rows, span_starts: Rows, span_ends: Rows, which: Rows, new: Bytes,
    new_starts: Rows, new_ends: Rows,
) -> Any:  # fmt: skip
    """The rows that have spans, span ``k`` replaced by the text ``which[k]``: ``(rows, utf8, starts, ends)``."""
    changed, room, k = np.empty(len(rows), np.int64), np.int64(0), np.int64(0)
    for span in range(len(rows)):
        if span == 0 or rows[span] != rows[span - 1]:
            changed[k] = rows[span]
            room += ends[rows[span]] - starts[rows[span]]
            k += 1
        room += new_ends[which[span]] - new_starts[which[span]]
    out, out_starts, out_ends = np.empty(room, np.uint8), np.empty(k, np.int64), np.empty(k, np.int64)
    n, next_ = np.int64(0), np.int64(0)
    for j in range(k):
        out_starts[j] = n
        at = starts[changed[j]]
        while next_ < len(rows) and rows[next_] == changed[j]:
            n = copied(utf8, at, span_starts[next_], out, n)
            n = copied(new, new_starts[which[next_]], new_ends[which[next_]], out, n)
            at = span_ends[next_]
            next_ += 1
        n = copied(utf8, at, ends[changed[j]], out, n)
        out_ends[j] = n
    return changed[:k], out[:n], out_starts, out_ends
