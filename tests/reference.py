"""Every cut, signal and edit said again in plain Python, slowly and plainly: what the kernels are held to.

Invariants: nothing here uses the kernels of `filters`. `REFERENCE` gives a signal's value for one string, `EDITS` an edited
string, `CUTS` the pieces of a string, under the project's names. UAX 29 is there twice: `uniseg` (the reference's own choice)
is what the signals count, and `word_breaks` has the annex's rules one by one.
"""

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from html import escape as html_escape
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import ada_url
import regex
from uniseg import wordbreak

# --- Cuts ------------------------------------------------------------------------------------------------------------------


def lines(text: str) -> list[str]:
    return re.split("\r?\n", text)


def stripped_lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def paragraphs(text: str) -> list[str]:
    return [piece.strip() for piece in re.split("\n\r?\n", text) if piece.strip()]


@lru_cache(maxsize=2000)
def uax29_pieces(text: str) -> tuple[str, ...]:
    return tuple(wordbreak.words(text))


def uax29_words(text: str) -> list[str]:
    return [piece for piece in uax29_pieces(text) if piece[0].isalnum()]


def uax29_tokens(text: str) -> list[str]:
    return [piece for piece in uax29_pieces(text) if not piece.isspace()]


def fasttext_words(text: str) -> list[str]:
    return [word for word in re.split("[ \n\r\t\v\f\0]+", text) if word and word[0].isalnum()]


def fasttext_hash(word: bytes) -> int:
    """fastText's 32-bit hash, as the signed number from which it computes word n-grams."""
    h = 2166136261
    for byte in word:
        h = (h ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619 % 2**32
    return h - 2**32 if h >> 31 else h


def mean_weight(text: str, words: Mapping[bytes, float], ngrams: Sequence[float], longest: int) -> float:
    """The mean weight of a text's features, added in the kernel's order: a group of words, then the n-grams that end with them.

    A group ends with the 64 bytes in which the 448th start or end of its words is.
    """
    utf8, features = text.encode(), []
    gaps = [m.span() for m in re.finditer(rb"[\0\t-\r \x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]", utf8)]
    spans = [(a, b) for (_, a), (b, _) in pairwise([(0, 0), *gaps, (len(utf8), 0)]) if a < b]
    groups = []
    for edge in range(64, len(utf8), 64):
        stopped = sum(stop < edge for _, stop in spans)
        if stopped + sum(start < edge for start, _ in spans) >= 448:
            groups.append(spans[:stopped])
            spans = spans[stopped:]
    hashed: list[int] = []
    for last, group in [*((False, group) for group in groups), (True, spans)]:
        found = [utf8[start:stop] for start, stop in group] + [b"</s>"] * last
        found = [word for word in found if not word.startswith(b"__label__")]
        ended = b"</s>" in found
        found = found[: found.index(b"</s>") + 1] if ended else found
        features += [words[word] for word in found if word in words]
        for word in found:
            hashed.append(fasttext_hash(word))
            for first in range(max(len(hashed) - longest, 0), len(hashed) - 1) if len(ngrams) else ():
                gram = hashed[first]
                for h in hashed[first + 1 :]:
                    gram = (gram * 116049371 + h) % 2**64
                features.append(ngrams[gram % len(ngrams)])
        if ended:
            break
    total = 0.0
    for feature in features:
        total += feature
    return total / len(features) if features else 0.0


CUTS: dict[str, Callable[[str], list[str]]] = {
    "lines": lines,
    "stripped_lines": stripped_lines,
    "paragraphs": paragraphs,
    "words": str.split,
    "uax29_words": uax29_words,
    "uax29_tokens": uax29_tokens,
}

# --- UAX 29, rule by rule (https://www.unicode.org/reports/tr29/#Word_Boundary_Rules) -----------------------------------------

WORD_BREAKS = (
    "CR", "LF", "Newline", "Extend", "ZWJ", "Format", "Regional_Indicator", "Katakana", "Hebrew_Letter", "ALetter",
    "Single_Quote", "Double_Quote", "MidNumLet", "MidLetter", "MidNum", "Numeric", "ExtendNumLet", "WSegSpace",
)  # fmt: skip
ENDS = {"CR", "LF", "Newline"}
PASSED_OVER = {"Extend", "Format", "ZWJ"}
LETTERS = {"ALetter", "Hebrew_Letter"}


@cache
def word_break(character: str) -> str:
    """The Word_Break property of a character, by its long name."""
    for name in WORD_BREAKS:
        if regex.fullmatch(rf"\p{{WB={name}}}", character):
            return name
    return "Other"


@cache
def pictographic(character: str) -> bool:
    return regex.fullmatch(r"\p{Extended_Pictographic}", character) is not None


def word_breaks(text: str) -> list[bool]:
    """Whether there is a word boundary before each character."""
    properties = [word_break(character) for character in text]
    # WB4: X (Extend | Format | ZWJ)* is X, except after sot, CR, LF and Newline, where the first of them is an X itself.
    heads = [i for i, p in enumerate(properties) if p not in PASSED_OVER or i == 0 or properties[i - 1] in ENDS]
    place = {head: k for k, head in enumerate(heads)}

    def head(k: int) -> str:
        return properties[heads[k]] if 0 <= k < len(heads) else "edge"

    def boundary(i: int) -> bool:  # noqa: PLR0912 - one branch a rule
        if i == 0:
            return True  # WB1
        left, right = properties[i - 1], properties[i]
        if (left, right) == ("CR", "LF"):
            return False  # WB3
        if left in ENDS or right in ENDS:
            return True  # WB3a, WB3b
        if left == "ZWJ" and pictographic(text[i]):
            return False  # WB3c
        if left == right == "WSegSpace":
            return False  # WB3d
        if i not in place:
            return False  # WB4
        k = place[i]
        before, left, after = head(k - 2), head(k - 1), head(k + 1)
        if left in LETTERS and right in LETTERS:
            return False  # WB5
        if left in LETTERS and right in {"MidLetter", "MidNumLet", "Single_Quote"} and after in LETTERS:
            return False  # WB6
        if before in LETTERS and left in {"MidLetter", "MidNumLet", "Single_Quote"} and right in LETTERS:
            return False  # WB7
        if left == "Hebrew_Letter" and right == "Single_Quote":
            return False  # WB7a
        if left == "Hebrew_Letter" and right == "Double_Quote" and after == "Hebrew_Letter":
            return False  # WB7b
        if before == "Hebrew_Letter" and left == "Double_Quote" and right == "Hebrew_Letter":
            return False  # WB7c
        if (left == "Numeric" or left in LETTERS) and right == "Numeric":
            return False  # WB8, WB9
        if left == "Numeric" and right in LETTERS:
            return False  # WB10
        if before == "Numeric" and left in {"MidNum", "MidNumLet", "Single_Quote"} and right == "Numeric":
            return False  # WB11
        if left == "Numeric" and right in {"MidNum", "MidNumLet", "Single_Quote"} and after == "Numeric":
            return False  # WB12
        if left == right == "Katakana":
            return False  # WB13
        if left in {*LETTERS, "Numeric", "Katakana", "ExtendNumLet"} and right == "ExtendNumLet":
            return False  # WB13a
        if left == "ExtendNumLet" and right in {*LETTERS, "Numeric", "Katakana"}:
            return False  # WB13b
        indicators = 0
        while head(k - 1 - indicators) == "Regional_Indicator":
            indicators += 1
        # WB15, WB16, WB999
        return not (right == "Regional_Indicator" and indicators % 2 == 1)

    return [boundary(i) for i in range(len(text))]


def rule_pieces(text: str) -> list[str]:
    """The text cut at each boundary of `word_breaks`."""
    cuts = [i for i, cut in enumerate(word_breaks(text)) if cut] + [len(text)]
    return [text[a:b] for a, b in pairwise(cuts)]


# --- Signals -----------------------------------------------------------------------------------------------------------------

NAN = math.nan
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
NOUNS = tuple(
    "likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads views followers".split()  # noqa: SIM905
)


def ascii_lower(text: str) -> str:
    return re.sub("[A-Z]+", lambda match: match[0].lower(), text)


def ratio(above: float, below: float) -> float:
    return above / below if below else NAN


def hash_signs(text: str) -> int:
    return text.count("#")


def ellipses(text: str) -> int:
    return text.count("...") + text.count(". . .") + text.count("…")


def mean_word_length(text: str) -> float:
    return ratio(sum(map(len, text.split())), len(text.split()))


def nonalphabetic_word_fraction(text: str) -> float:
    words = text.split()
    return ratio(sum(not any(map(str.isalpha, word)) for word in words), len(words))


def stop_word_count(text: str, words: Sequence[str] = STOP_WORDS) -> int:
    wanted = {word.lower() for word in words}
    return sum(ascii_lower(word) in wanted for word in text.split())


def distinct_stop_word_count(text: str, words: Sequence[str] = STOP_WORDS) -> int:
    return len({word.lower() for word in words} & {ascii_lower(word) for word in text.split()})


def character_fraction(test: Callable[[str], bool], text: str) -> float:
    return sum(map(test, text)) / len(text) if text else 0.0


def bullet_line_fraction(text: str) -> float:
    found = stripped_lines(text)
    return sum(line.startswith(("●", "•", "*", "-")) for line in found) / len(found) if found else 0.0


def ellipsis_line_fraction(text: str) -> float:
    found = stripped_lines(text)
    return sum(line.endswith(("...", ". . .", "…")) for line in found) / len(found) if found else 0.0


def counter_line_count(text: str, nouns: Sequence[str] = NOUNS) -> int:
    listed = "|".join(re.escape(noun.lower()) for noun in nouns)
    return int(re.fullmatch(rf"\W*\d(?:,|\.|\d)*[kmb]?\s+(?:{listed})\W*", ascii_lower(text)) is not None)


@cache
def sentence_marks() -> str:
    """All characters with the property Sentence_Terminal, for a class of a regular expression."""
    return re.escape("".join(regex.findall(r"\p{Sentence_Terminal}", "".join(map(chr, range(0x110000))))))


def sentence_count(text: str) -> int:
    pieces = re.split(rf"\n|[{sentence_marks()}][{sentence_marks()}\"')\]’”»]*\s", text)
    return sum(any(map(str.isalnum, piece)) for piece in pieces)


def terminal_line_fraction(text: str, marks: str = "") -> float:
    wanted = re.escape(marks) or sentence_marks()
    found = stripped_lines(text)
    return ratio(sum(re.search(rf"[{wanted}]\Z", line) is not None for line in found), len(found))


def short_line_fraction(text: str, length: int = 30) -> float:
    found = stripped_lines(text)
    return ratio(sum(len(line) <= length for line in found), len(found))


def phrase_count(text: str, phrases: Iterable[str]) -> int:
    return sum(phrase in ascii_lower(text) for phrase in {phrase.lower() for phrase in phrases})


def repetition(cut: Callable[[str], list[str]], by_character: bool, beyond_first: bool, text: str) -> float:
    pieces = cut(text)
    counts, seen, repeated, total = Counter(pieces), set(), 0, 0
    for piece in pieces:
        weight = len(piece) if by_character else 1
        total += weight
        if counts[piece] > 1 and (piece in seen or not beyond_first):
            repeated += weight
        seen.add(piece)
    return ratio(repeated, total)


def ngrams(text: str, n: int) -> tuple[list[str], list[tuple[str, ...]]]:
    words = uax29_words(text)
    return words, [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def top_ngram_character_fraction(n: int, text: str) -> float:
    words, grams = ngrams(text, n)
    counts = Counter(grams)
    most = max(counts.values(), default=0)
    if most < 2:
        return 0.0
    longest = max(len("".join(gram)) for gram, count in counts.items() if count == most)
    return most * longest / len("".join(words))


def covered_ngram_character_fraction(n: int, beyond_first: bool, text: str) -> float:
    words, grams = ngrams(text, n)
    counts, seen, covered = Counter(grams), set(), set()
    for place, gram in enumerate(grams):
        if counts[gram] > 1 and (gram in seen or not beyond_first):
            covered.update(range(place, place + n))
        seen.add(gram)
    return sum(len(words[place]) for place in covered) / len("".join(words)) if words else 0.0


def authority(url: str) -> str:
    found = re.search("//([^/?#]*)", url)
    return found[1] if found else ""


def url_host(url: str) -> str:
    """The host by a parser of the URL Standard; what the standard refuses is read leniently."""
    try:
        return str(ada_url.URL(f"http:{url}" if url.startswith("//") else url).hostname).strip(" .")
    except ValueError:
        return ascii_lower(re.sub(":[0-9]*$", "", authority(url).rpartition("@")[2]).strip(" ."))


def url_host_count(url: str, hosts: Iterable[str], exact: bool = False) -> int:
    if exact:
        return int(ascii_lower(authority(url)).replace("www", "") in set(hosts))
    labels = ascii_lower(url_host(url)).split(".")
    return len(set(hosts) & {".".join(labels[k:]) for k in range(len(labels))})


def url_substring_count(url: str, phrases: Iterable[str], ignoring: str = "") -> int:
    plain = "".join(character for character in ascii_lower(url) if character not in ignoring)
    return sum(phrase in plain for phrase in {phrase.lower() for phrase in phrases})


def url_word_count(url: str, phrases: Iterable[str], ignoring: str = "") -> int:
    plain = "".join(character for character in ascii_lower(url) if character not in ignoring)
    return sum(re.search(rf"\b{re.escape(phrase)}\b", plain) is not None for phrase in {phrase.lower() for phrase in phrases})


# --- Personal data ------------------------------------------------------------------------------------------------------------
# The rules of `filters.personal_data` as regular expressions, with `ipaddress`, remainders of whole numbers and digit sums.

FINEWEB_EMAILS = ("email@example.com", "firstname.lastname@example.org")
FINEWEB_ADDRESSES = (
    "22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168",
)  # fmt: skip
PERSONAL_KINDS = ("email", "ipv4", "ipv6", "phone", "card", "iban")
VERSION = r"(?:version|versions|ver|v|release|build|section|sections|sec|chapter|firmware|revision|rev)"
PHONE_WORDS = (
    "tel", "telephone", "phone", "ph", "mobile", "mob", "cell", "fax", "telefax", "whatsapp", "hotline", "phone number",
    "telephone number", "mobile number", "cell number", "phone no", "tel no", "tél", "téléphone", "telefon", "telefonnummer",
    "telefono", "teléfono", "telefone", "telefoon", "telefonu", "handy", "mobil", "móvil", "celular", "cellulare", "тел",
    "телефон", "факс", "电话", "電話", "手机", "手機", "전화", "โทร", "thoại", "τηλ", "τηλέφωνο", "هاتف", "☎", "📞",
)  # fmt: skip
IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST",
    26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA",
    30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
IBAN_BY_COUNTRY = {country: size for size, countries in IBAN_LENGTHS.items() for country in countries.split()}
NOBODYS = [
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
]  # fmt: skip

LOCAL = "A-Za-z0-9._%+'&-"
NO_ADDRESS = f"(?![{LOCAL}]{{0,64}}@)"
ADDRESS_ENDS = rf"(?!-[A-Za-z0-9_]|[./:][0-9]){NO_ADDRESS}"
EMAIL = re.compile(rf"[A-Za-z0-9_](?:[{LOCAL}]{{0,62}}[A-Za-z0-9_+-])?\Z")
QUAD = re.compile(r"((?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2}))(?![A-Za-z0-9_]|\.[0-9])" + NO_ADDRESS)
SIX = re.compile(
    r"([23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{1,4}|::[0-9A-Fa-f]{1,4})+(?:::)?|[23][0-9A-Fa-f]{3}::)(?![A-Za-z0-9_]|\.[0-9])"
)
GAP = "[ ./()\u00a0\u2010\u2011\u2013-]"
HYPHENS = "-\u2010\u2011\u2013"
GROUP = re.compile(f"({GAP}{{1,3}})?([0-9]+)")


def personal_spans(text: str, tlds: Iterable[str]) -> list[tuple[int, int, str]]:
    """Spans of characters and their kinds, from left to right."""
    found: list[tuple[int, int, str]] = []
    floor, known = 0, set(tlds)
    for trigger in re.finditer("@|(?<![0-9])[0-9]", text):
        at = trigger.start()
        if at < floor:
            continue
        span = _email(text, at, floor, known) if text[at] == "@" else _number(text, at, floor)
        if span:
            start, end, kind = span
            placeholder = kind in ("email", "ipv4") and text[start:end] in FINEWEB_EMAILS + FINEWEB_ADDRESSES
            found.append((start, end, "placeholder" if placeholder else kind))
            floor = end
    return found


def _email(text: str, at: int, floor: int, tlds: set[str]) -> tuple[int, int, str] | None:
    local = re.search(rf"[{LOCAL}]{{1,64}}\Z", text[max(floor, at - 64) : at])
    local = local and re.search(r"[A-Za-z0-9_].*\Z", local[0])
    if not local or not EMAIL.match(local[0]):
        return None
    run = re.match("[A-Za-z0-9.-]*", text[at + 1 : at + 257])
    assert run
    ends = []
    for end in range(1, len(run[0]) + 1):
        labels = run[0][:end].split(".")
        whole = end == len(run[0]) or run[0][end] in ".-"
        fits = all(re.fullmatch("[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", label) for label in labels)
        if whole and fits and len(labels) > 1 and ascii_lower(labels[-1]) in tlds:
            ends.append(at + 1 + end)
    if not ends or (local[0] == "git" and text[ends[-1] : ends[-1] + 1] == ":"):
        return None
    return at - len(local[0]), ends[-1], "email"


def _number(text: str, at: int, floor: int) -> tuple[int, int, str] | None:
    before = text[max(0, at - 40) : at]
    if re.search(r"(?<![A-Za-z0-9_])[A-Z]{2}\Z", before) and at - 2 >= floor and (end := _iban(text, at - 2)):
        return at - 2, end, "iban"
    if re.search(r"[A-Za-z0-9_]\Z", before):
        return None
    six = SIX.match(text, at)
    if six and not before.endswith(":") and _public(six[1], text, six.end()):
        return at, six.end(), "ipv6"
    quad = QUAD.match(text, at)
    version = re.search(rf"[A-Za-z]/\Z|(?<![A-Za-z]){VERSION}[ .:\u00a0]{{1,3}}\Z", ascii_lower(before))
    if quad and not re.search(r"[0-9]\.\Z", before) and not version and _public(quad[1], text, quad.end()):
        return at, quad.end(), "ipv4"
    groups, gaps, more = _groups(text, at)
    if not groups:
        return None
    if end := _card(text, before, groups, gaps):
        return at, end, "card"
    if end := _phone(text, before, groups, gaps, more):
        start = at - 1 if before.endswith("+") else at
        opened = text[start - 1 : start] == "(" and re.match(r"[^()]*\)", text[start:end])
        return start - 1 if opened else start, end, "phone"
    return None


def _public(address: str, text: str, end: int) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in block for block in NOBODYS):
        return False
    return parsed.version == 4 or (text[end : end + 2] != "::" and len([group for group in address.split(":") if group]) >= 3)


def _iban(text: str, start: int) -> int | None:
    size = IBAN_BY_COUNTRY.get(text[start : start + 2])
    if not size:
        return None
    found = re.compile(rf"[A-Z]{{2}}[0-9]{{2}}(?:[ \u00a0-]?[A-Z0-9]){{{size - 4}}}(?![A-Za-z0-9_]){NO_ADDRESS}").match(
        text, start
    )
    if not found:
        return None
    plain = re.sub("[ \u00a0-]", "", found[0])
    number = int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4]))
    return found.end() if number % 97 == 1 else None


def _groups(text: str, at: int) -> tuple[list[tuple[str, int]], list[str], bool]:
    """The groups of digits with their ends, the separators between them, and whether there are more digits than 19."""
    groups: list[tuple[str, int]] = []
    gaps: list[str] = []
    while group := GROUP.match(text, at):
        if bool(group[1]) != bool(groups) or (group[1] and len(group[1]) > 1 and "." in group[1]):
            break
        if sum(len(digits) for digits, _ in groups) + len(group[2]) > 19:
            return groups, gaps, True
        if re.match("[A-Za-z_]", text[group.end() : group.end() + 1]):
            break
        groups.append((group[2], group.end()))
        gaps += [group[1]] if group[1] else []
        at = group.end()
    return groups, gaps, False


def _ends(text: str, end: int) -> bool:
    return re.compile(ADDRESS_ENDS).match(text, end) is not None


def luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + n % 2) for n, d in enumerate(reversed(digits))]
    return sum(sum(map(int, str(d))) for d in doubled) % 10 == 0


ISSUERS = re.compile(
    r"4(?:.{12}|.{15}|.{18})|5[1-5].{14}|(?:222[1-9]|22[3-9].|2[3-6]..|27[01].|2720).{12}|3[47].{13}"
    r"|(?:6011|64[4-9].|65..|62..|352[89]|35[3-8].).{12,15}|(?:30[0-5]|36.|3[89].).{11,16}"
)


def _card(text: str, before: str, groups: list[tuple[str, int]], gaps: list[str]) -> int | None:
    if re.search(r"\+\Z|[0-9][./-]\Z", before):
        return None
    for count in range(len(groups), 0, -1):
        sizes = [len(digits) for digits, _ in groups[:count]]
        uniform = len({"-" if gap in HYPHENS else " " if gap in " \u00a0" else "no" for gap in gaps[: count - 1]} - {"no"}) == 1
        single = all(gap in " \u00a0" + HYPHENS and len(gap) == 1 for gap in gaps[: count - 1])
        printed = sizes[:3] == [4, 4, 4] and (count < 4 or (count <= 5 and sizes[3:-1] == [4] * (count - 4) and sizes[-1] <= 4))
        printed |= count == 3 and sizes in ([4, 6, 5], [4, 6, 4])
        digits = "".join(d for d, _ in groups[:count])
        shaped = count == 1 or (uniform and single and printed)
        if shaped and ISSUERS.fullmatch(digits) and luhn(digits) and _ends(text, groups[count - 1][1]):
            return groups[count - 1][1]
    return None


def _phone(text: str, before: str, groups: list[tuple[str, int]], gaps: list[str], more: bool) -> int | None:
    sums = [len("".join(d for d, _ in groups[: n + 1])) for n in range(len(groups))]
    digits = "".join(d for d, _ in groups)

    def longest(least: int) -> int:
        return max((n + 1 for n, total in enumerate(sums) if least <= total <= 15 and _ends(text, groups[n][1])), default=0)

    if before.endswith("+"):
        if re.search(r"[A-Za-z0-9_+]\+\Z", before) or digits[0] == "0":
            return None
        if digits[0] == "1":
            fits = 11 in sums and digits[1] >= "2" and digits[4] >= "2" and _ends(text, groups[sums.index(11)][1])
            return groups[sums.index(11)][1] if fits else None
        count = longest(8)
        return groups[count - 1][1] if count and not digits[: sums[count - 1]].endswith("000000") else None
    free = not re.search(r"[./=#%$-]\Z", before)
    if free and (end := _american(text, before, groups, gaps)):
        return end
    label = re.search(r"[ .:(\u00a0\uff1a-]{0,4}\Z", before)
    assert label
    words = ascii_lower(before[: label.start()])
    # any shorter run of separators leaves one of them at the end, and no word ends with one
    labelled = not before.endswith("-") and any(
        words.endswith(word)
        and not ("a" <= word[0] <= "z" and words[: -len(word)][-1:].isascii() and words[: -len(word)][-1:].isalpha())
        for word in PHONE_WORDS
    )
    if labelled and (count := longest(7)):
        return groups[count - 1][1]
    return _national(text, groups, gaps, more) if free else None


def _american(text: str, before: str, groups: list[tuple[str, int]], gaps: list[str]) -> int | None:
    lead = groups[0][0] == "1"
    if lead and gaps and len(gaps[0]) > 2:
        return None
    parts, between = groups[lead:], gaps[lead:]
    if len(parts) < 3 or [len(d) for d, _ in parts[:3]] != [3, 3, 4] or parts[0][0][0] < "2" or parts[1][0][0] < "2":
        return None
    first, second = between[:2]
    if len(second) != 1 or len(first) > 2 or second in "/()":
        return None
    opening = text[parts[0][1] - 4 : parts[0][1] - 3] if parts[0][1] >= 4 else ""
    enclosed = bool(re.search("[()]", first)) and opening == "("
    spaced = first in " \u00a0" and second in " \u00a0" and len(parts) == 3
    hyphened = second in HYPHENS and re.fullmatch(rf"[ \u00a0]+|[{HYPHENS}]+|\.|/+", first)
    if not (enclosed or spaced or hyphened or (first == "." and second == ".")):
        return None
    return parts[2][1] if _ends(text, parts[2][1]) else None


def _national(text: str, groups: list[tuple[str, int]], gaps: list[str], more: bool) -> int | None:
    cut = next((n for n, gap in enumerate(gaps) if len(gap) > 2), len(gaps))
    parts, between = groups[: cut + 1], gaps[:cut]
    sizes = [len(d) for d, _ in parts]
    if (
        not re.match("0[1-9]", parts[0][0])
        or min(sizes) < 2
        or not 9 <= sum(sizes) <= 11
        or (more and len(parts) == len(groups))
    ):
        return None
    if len(parts) == 3 and sum(sizes) == 9 and sizes[0] == 2:
        return None
    marked = bool(between) and bool(re.search("[/()]", between[0]))
    if len(parts) == 1 or (len(parts) == 2 and not (marked and 3 <= sizes[0] <= 6)):
        return None

    def kind(gap: str) -> frozenset[str]:
        return frozenset(" " if c in " \u00a0" else "-" if c in HYPHENS else "(" if c in "()" else c for c in gap)

    if any(len(gap) != 1 or kind(gap) != kind(between[1]) for gap in between[1:]):
        return None
    hyphen = kind(between[0]) == {"-"}
    if len(parts) > 2 and not (marked or hyphen or (kind(between[0]) == kind(between[1]) and len(between[0]) == 1)):
        return None
    return parts[-1][1] if _ends(text, parts[-1][1]) else None


@lru_cache(maxsize=1)
def all_tlds() -> frozenset[str]:
    from goldwash.filters.links import top_level_domains

    return frozenset(top_level_domains())


def personal_count(kind: str, text: str) -> int:
    return sum(found == kind for _, _, found in personal_spans(text, all_tlds()))


def mask_personal_data(text: str, kinds: Sequence[str] = PERSONAL_KINDS, template: str = "") -> str:
    while True:
        out, at, turns = "", 0, {"email": 0, "ip": 0}
        for start, end, kind in personal_spans(text, all_tlds()):
            if kind not in kinds:
                continue
            name = "ip" if kind.startswith("ip") else kind
            words = FINEWEB_EMAILS if kind == "email" else FINEWEB_ADDRESSES if name == "ip" else (f"<{kind}>",)
            new = template.replace("{kind}", name) if template else words[turns.get(name, 0) % len(words)]
            turns[name] = turns.get(name, 0) + 1
            out, at = out + text[at:start] + new, end
        if at == 0 and not out:
            return text
        text = out + text[at:]


def ngram_count(text: str, min_n: int = 13, max_n: int = 13, by_lines: bool = True, short_documents: bool = False) -> int:
    units = [uax29_tokens(line) for line in text.split("\n")] if by_lines else [uax29_tokens(text)]
    count = sum(max(len(unit) - max_n, 0) + 1 for unit in units if len(unit) >= min_n)
    whole = sum(map(len, units))
    return max(whole - max_n, 0) + 1 if count == 0 and short_documents and whole else count


REFERENCE: dict[str, Callable[..., float]] = {
    "ngram_count": ngram_count,
    "fasttext_word_count": lambda text: len(fasttext_words(text)),
    "word_count": lambda text: len(text.split()),
    "character_count": len,
    "mean_word_length": mean_word_length,
    "symbol_word_ratio": lambda text: ratio(hash_signs(text) + ellipses(text), len(text.split())),
    "hash_word_ratio": lambda text: ratio(hash_signs(text), len(text.split())),
    "ellipsis_word_ratio": lambda text: ratio(ellipses(text), len(text.split())),
    "nonalphabetic_word_fraction": nonalphabetic_word_fraction,
    "stop_word_count": stop_word_count,
    "distinct_stop_word_count": distinct_stop_word_count,
    "uppercase_fraction": partial(character_fraction, str.isupper),
    "digit_fraction": partial(character_fraction, str.isdigit),
    "bullet_line_fraction": bullet_line_fraction,
    "ellipsis_line_fraction": ellipsis_line_fraction,
    "counter_line_count": counter_line_count,
    "terminal_line_fraction": terminal_line_fraction,
    "short_line_fraction": short_line_fraction,
    "newline_word_ratio": lambda text: ratio(text.count("\n"), len(text.split())),
    "longest_word_length": lambda text: max(map(len, text.split()), default=0),
    "sentence_count": sentence_count,
    "phrase_count": phrase_count,
    "repeated_line_fraction": partial(repetition, stripped_lines, False, False),
    "repeated_paragraph_fraction": partial(repetition, paragraphs, False, False),
    "repeated_line_character_fraction": partial(repetition, stripped_lines, True, False),
    "repeated_paragraph_character_fraction": partial(repetition, paragraphs, True, False),
    "duplicate_line_fraction": partial(repetition, stripped_lines, False, True),
    "duplicate_paragraph_fraction": partial(repetition, paragraphs, False, True),
    "duplicate_line_character_fraction": partial(repetition, stripped_lines, True, True),
    "duplicate_paragraph_character_fraction": partial(repetition, paragraphs, True, True),
    **{f"top_{n}gram_character_fraction": partial(top_ngram_character_fraction, n) for n in (2, 3, 4)},
    **{f"repeated_{n}gram_character_fraction": partial(covered_ngram_character_fraction, n, False) for n in range(5, 11)},
    **{f"duplicate_{n}gram_character_fraction": partial(covered_ngram_character_fraction, n, True) for n in range(5, 11)},
    "url_host_count": url_host_count,
    "url_substring_count": url_substring_count,
    "url_word_count": url_word_count,
    **{f"{kind}_count": partial(personal_count, kind) for kind in PERSONAL_KINDS},
}

# --- Edits -------------------------------------------------------------------------------------------------------------------


def keep_lines(text: str, passes: Callable[[str], bool], strip: bool = True, empty: bool = True) -> str:
    kept = [line for line in lines(text) if passes(line) or (empty and not line)]
    text = text if len(kept) == len(lines(text)) else "\n".join(kept)
    return text.strip() if strip else text


def squeeze_newlines(text: str, max: int = 2) -> str:
    return re.sub(f"(?:\r?\n){{{max + 1},}}", lambda run: "".join(re.findall("\r?\n", run[0])[:max]), text)


@lru_cache(maxsize=8)
def url_patterns(tlds: tuple[str, ...], bare_hosts: bool) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """The reference's patterns: what a text must begin with, URLs, addresses.

    Of two top-level domains of which one begins the other, the longer is tried first.
    """
    listed = "|".join(re.escape(tld) for tld in sorted(tlds, key=len, reverse=True))
    before, tail = r"[-a-zA-Z0-9@:%._+~#=]", r"[-a-zA-Z0-9()@:%_+.~#?&/=]*"
    scheme = r"(?:(?:https?|ftp)://)"
    opening = f"{scheme}?" if bare_hosts else rf"(?:{scheme}|(?<!{before})(?=www\.))"
    url = rf"\s{{0,10}}{opening}{before}{{1,256}}\.(?:{listed})\b{tail}"
    address = rf"\s{{0,10}}\b{scheme}{'?' if bare_hosts else ''}(?:[0-2]?[0-9]{{1,2}}\.){{3}}[0-2]?[0-9]{{1,2}}{tail}"
    return re.compile(listed, re.IGNORECASE), re.compile(url), re.compile(address)


def remove_urls(text: str, tlds: tuple[str, ...], bare_hosts: bool = True, only_after_tld: bool = False) -> str:
    begins, url, address = url_patterns(tlds, bare_hosts)
    if begins.match(text) or not only_after_tld:
        text = url.sub("", text)
    return address.sub("", text)


def delete_phrase(
    text: str, phrase: str, position: str = "anywhere", max_words: int = 10, dot_is_any_character: bool = False
) -> str:
    body = phrase.replace("(", r"\(") if dot_is_any_character else re.escape(phrase)
    end = "$" if dot_is_any_character else r"(?=\s*$)"
    form = {"anywhere": rf"\s?{body}", "prefix": rf"^{body}\s?", "suffix": rf"\s?{body}{end}"}[position]
    out = []
    for line in lines(text):
        after = re.sub(form, "", line, flags=re.IGNORECASE) if len(line.split()) <= max_words else line
        if after == line or after.strip():
            out.append(after)
    return (text if out == lines(text) else "\n".join(out)).strip()


def remove_citations(text: str) -> str:
    return re.sub(r"\[(?:[0-9]*|edit|citation needed)\]", "", text)


EDITS: dict[str, Callable[..., str]] = {
    "remove_citations": remove_citations,
    "keep_lines": keep_lines,
    "squeeze_newlines": squeeze_newlines,
    "remove_urls": remove_urls,
    "delete_phrase": delete_phrase,
    "mask_personal_data": mask_personal_data,
}


def value(name: str, text: str, **parameters: Any) -> float:
    """A signal's value by its twin."""
    return float(REFERENCE[name](text, **parameters))


# --- Blocks of pages ----------------------------------------------------------------------------------------------------------

BLOCK_TAGS = {"div", "p", "section", "article", "h1", "h2", "ul", "li", "blockquote", "pre", "nav"}


def html_of(tree: tuple[str, Any]) -> str:
    """A page that is well formed: of (tag, children), or ("", text)."""
    name, inside = tree
    if not name:
        return html_escape(inside, quote=False)
    return f"<{name}{' href=x' if name == 'a' else ''}>{''.join(map(html_of, inside))}</{name}>"


class BlockReader(HTMLParser):
    """The blocks of a well-formed page; with each character, whether it is in a link, and whether it is preformatted."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.blocks: list[list[tuple[str, bool, bool]]] = [[]]
        self.open: list[str] = []
        self.link = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in BLOCK_TAGS:
            if self.open[-1:] == ["p"]:
                self.open.pop()
            self.part(tag)
            above = [n for n, other in enumerate(self.open) if other not in ("div", "p")][-1:]
            if tag == "li" and above and self.open[above[0]] == "li":
                del self.open[above[0] :]
            if self.link > len(self.open) + 1:
                self.link = 0
            self.open.append(tag)
        elif tag == "a":
            self.link = len(self.open) + 1

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCK_TAGS:
            if tag in self.open:
                del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]
            self.part(tag)
            if self.link > len(self.open) + 1:
                self.link = 0
        elif tag == "a":
            self.link = 0

    def part(self, tag: str) -> None:
        """Begin a block, or a line in preformatted text."""
        if (
            "pre" not in self.open
            or tag not in ("div", "p", "ul", "li")
            or not any(c not in " \n" for c, *_ in self.blocks[-1])
        ):
            self.blocks.append([])
        elif self.blocks[-1][-1][0] != "\n":
            self.blocks[-1].append(("\n", False, True))

    def handle_data(self, data: str) -> None:
        preformatted = "pre" in self.open
        for c in data:
            kept = " " if c in "\u00a0\t\r" or (c == "\n" and not preformatted) else c
            if preformatted or kept != " " or (self.blocks[-1] and self.blocks[-1][-1][0] != " "):
                self.blocks[-1].append((kept, bool(self.link), preformatted))

    def handle_entityref(self, name: str) -> None:
        self.blocks[-1].append((f"&{name};", bool(self.link), "pre" in self.open))


def blocks(page: str) -> list[tuple[str, int, int, int, int, int, int, int]]:
    """Each block's text, words, characters, those in links, full stops, commas, digits, words that begin with a capital.

    An ideograph, a kana or a hangul syllable counts as two characters.
    """
    reader = BlockReader()
    reader.feed(page)
    reader.close()
    found = []
    for block in reader.blocks:
        text = "".join(c for c, *_ in block)
        inner = [each for each in block if each[0] not in " \n"]
        if not inner:
            continue
        shown = (re.sub(r"^(?: *\n)+", "", text) if block[0][2] else text.lstrip(" \n")).rstrip(" \n")
        unspaced, wide = re.compile("[\u3000-\u9fff]"), re.compile("[\u3000-\ud7ff]")
        words = shown.split()
        found.append(
            (
                shown,
                sum(len(unspaced.findall(word)) + bool(unspaced.sub("", word)) for word in words),
                sum(1 + bool(wide.match(c)) for c, *_ in inner),
                sum(linked * (1 + bool(wide.match(c))) for c, linked, _ in inner),
                sum(c in ".!?\u3002\uff01\uff0e\uff1f\u061f\u06d4\u0964\u0965" for c, *_ in inner),
                sum(c in ",\u3001\uff0c\u060c" for c, *_ in inner),
                sum(c in "0123456789" for c, *_ in inner),
                sum("A" <= word[0] <= "Z" for word in words),
            )
        )
    return found


def tag_end(page: bytes, at: int) -> int:
    """The position after the ``>`` that ends a tag, byte by byte; the page's end without one."""
    before = 0
    while at < len(page):
        if page[at : at + 1] == b">":
            return at + 1
        if page[at] in b"\"'" and before == ord("="):
            found = page.find(page[at : at + 1], at + 1)
            if found < 0:
                return len(page)
            at = found
        before = page[at] if page[at] > ord(" ") else before
        at += 1
    return len(page)


def of(part_: float, whole: float) -> float:
    return part_ / whole if whole else 0.0


def siblings_of(blocks: list[list[int]], elements: list[list[int]], lineage: dict[int, list[int]]) -> list[int]:
    """How many elements with text have the parent, the tag and the names of each element; 1 for the page itself."""
    filled = sorted({e for row in blocks for e in lineage[row[2]] if e})
    shapes = Counter((elements[e][0], elements[e][1], elements[e][3]) for e in filled)
    return [1, *(shapes[e[0], e[1], e[3]] for e in elements[1:])]


def kind_of_page(blocks: list[list[int]], elements: list[list[int]]) -> list[float]:
    """The features that are the same for all blocks: share of paragraphs; headings; blocks with a name of prices; articles."""
    from goldwash.pipeline.html.segments import BITS, KEYWORDS, WITHIN

    element, characters, linked = 2, 5, 6
    bits = {name: 1 << WITHIN.index(name) for name in ("h1", "h2", "h4", "article")}
    price = 1 << KEYWORDS.index("price cart product products buy shop sku basket checkout order")
    tags = [int(BITS[each[1]]) for each in elements]
    named = [each[3] | elements[max(0, each[0])][3] for each in elements]
    paragraphs = sum(row[characters] for row in blocks if row[characters] > 60 and 3 * row[linked] < row[characters])
    return [
        of(paragraphs, sum(row[characters] for row in blocks)),
        sum(tags[row[element]] in (bits["h1"], bits["h2"], bits["h4"]) for row in blocks),
        sum(named[row[element]] & price != 0 for row in blocks),
        tags.count(bits["article"]),
    ]


def around(blocks: list[list[int]], i: int) -> list[float]:
    """The characters of the four blocks before and the four after a block, and the share of them in links."""
    near = [blocks[j] for j in range(max(0, i - 4), min(len(blocks), i + 5)) if j != i]
    characters = sum(row[5] for row in near)
    return [characters, of(sum(row[6] for row in near), characters)]


def measures(blocks: list[list[int]], elements: list[list[int]]) -> list[list[float]]:
    """The measures of blocks (rows as `pipeline.html.segments` has them), one by one from their definitions."""
    from goldwash.pipeline.html.segments import BITS, KEYWORDS, WITHIN

    element, before, words, characters, linked, stops, commas, digits, capitals, bullet, lines_, links = range(2, 14)
    parent, tag, inside, called, level, _ = range(6)

    def line_of(e: int) -> list[int]:
        return [e, *(line_of(elements[e][parent]) if elements[e][parent] >= 0 else [])]

    lineage = {row[element]: line_of(row[element]) for row in blocks}
    held: dict[int, list[int]] = {e: [0, 0, 0, 0] for e in range(len(elements))}
    scores: dict[int, int] = dict.fromkeys(range(len(elements)), 0)
    for row in blocks:
        for e in lineage[row[element]]:
            for n, value_ in enumerate((row[characters], row[linked], row[stops] + row[commas], 1)):
                held[e][n] += value_
        if row[characters] > 60 and row[linked] / row[characters] < 1 / 3:
            size = row[characters]
            for n, e in enumerate(lineage[row[element]][:3]):
                if n or BITS[elements[e][tag]] != 1 << WITHIN.index("p"):
                    scores[e] += size
                    size //= 2
    best = min(e for e in scores if scores[e] == max(scores.values()))
    above = {e: n for n, e in enumerate(line_of(best))}
    own = [int(BITS[elements[row[element]][tag]]) for row in blocks]
    headings = {name: 1 << WITHIN.index(name) for name in ("h1", "h2", "h4")}
    alike = [
        tuple(elements[e][column] for e in (row[element], max(0, elements[row[element]][parent])) for column in (tag, called))
        for row in blocks
    ]
    page, siblings = kind_of_page(blocks, elements), siblings_of(blocks, elements, lineage)
    found = []
    for i, row in enumerate(blocks):
        line = lineage[row[element]]
        f: list[float] = [
            row[words], row[characters], of(row[linked], row[characters]), of(row[stops], row[words]),
            of(row[commas], row[words]), of(row[digits], row[characters]), of(row[capitals], row[words]),
            of(row[characters], row[words]), row[before], row[bullet], row[lines_], row[links], own[i].bit_length() - 1,
        ]  # fmt: skip
        f += [elements[row[element]][inside] >> n & 1 for n in range(len(WITHIN))]
        for n in range(len(KEYWORDS)):
            f.append(next((min(up, 15) for up, e in enumerate(line) if elements[e][called] >> n & 1), 31))
        for n in range(4):
            chars, in_links, marks, count = held[line[n] if n < len(line) else 0]
            f += [chars, of(in_links, chars), of(marks, chars), count]
        meeting = next(n for n, e in enumerate(line) if e in above)
        f += [above[line[meeting]], meeting]
        for j in (i - 2, i - 1, i + 1, i + 2):
            if 0 <= j < len(blocks):
                near = blocks[j]
                same = elements[near[element]][parent] == elements[row[element]][parent]
                f += [near[characters], of(near[linked], near[characters]), near[stops], same]
            else:
                f += [-1] * 4
        f += around(blocks, i)
        total = held[0][0]
        passed = sum(b[characters] for b in blocks[:i])
        f += [total, of(held[0][1], total), len(blocks), passed, of(passed, total), of(i, len(blocks))]
        f += [
            elements[row[element]][level],
            of(held[best][0], total),
            min(31, min((i - j for j in range(i + 1) if own[j] in headings.values()), default=31)),
        ]
        titles = [j for j in range(len(blocks)) if own[j] == headings["h1"]]
        f += [bool(titles) and titles[0] <= i, bool(titles) and i <= titles[-1]]
        like = [b for b, kind in zip(blocks, alike, strict=True) if kind == alike[i]]
        chars = sum(b[characters] for b in like)
        f += [len(like), chars, of(chars, len(like)), of(sum(b[linked] for b in like), chars)]
        f += [siblings[line[n]] if n < len(line) else 1 for n in range(3)]
        most = max(line, key=siblings.__getitem__)  # the nearest, if several have as many
        f += [siblings[most], held[most][0], of(held[most][1], held[most][0])]
        f += [of(held[max(0, elements[most][parent])][0], total), line.index(most), *page]
        found.append([float(x) for x in f])
    return found


def odds(told: Any, row: Sequence[float]) -> float:
    """What a forest says of one block, from node to node."""
    from goldwash.pipeline.html.main_content import MEASURES

    columns = {name: n for n, name in enumerate(MEASURES)}
    total = told["start"]
    for tree in told["trees"]:
        at = 0
        while tree[at][0] is not None:
            name, bound, below, above = tree[at]
            at = below if row[columns[name]] <= bound else above
        total += tree[at][1]
    return float(total)


def utf8_seen(data: bytes) -> int:
    """`goldwash.pipeline.html.utf8.seen`."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return 0
    return 1 | (2 if b"\x1b" in data else 0) | (0 if data.isascii() else 4)


# --- n-gram models -----------------------------------------------------------------------------------------------------------


def witten_bell(documents: Sequence[Sequence[int]], vocab: int, order: int) -> Callable[[Sequence[int], int], float]:
    """Interpolated Witten-Bell: the probability of a token after those before it in its document.

    Each document that is not empty is counted between two ends (the token ``vocab``).
    """
    following: dict[tuple[int, ...], Counter[int]] = {}
    for document in documents:
        whole = [vocab, *document, vocab]
        for at in range(1, len(whole) if document else 0):
            for n in range(min(order, at + 1)):
                following.setdefault(tuple(whole[at - n : at]), Counter())[whole[at]] += 1

    def probability(before: Sequence[int], token: int) -> float:
        context = [vocab, *before][-(order - 1) :] if order > 1 else []
        p = 1 / (vocab + 1)
        for n in range(len(context) + 1):
            seen = following.get(tuple(context[len(context) - n :]))
            if seen is None:
                break
            p = (seen[token] + len(seen) * p) / (seen.total() + len(seen))
        return p

    return probability


# --- the Bloom filter

U64 = (1 << 64) - 1


def mixed_hash(h: int) -> int:
    """The finaliser of MurmurHash3."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = ((h ^ (h >> 33)) * factor) & U64
    return h ^ (h >> 33)


def row_hash(row: bytes) -> int:
    """A row's hash by eight bytes at a time, the last eight possibly twice; short rows by some of their bytes."""
    factor, size = 0xD6E8FEB86659FD93, len(row)
    h = 0x9E3779B97F4A7C15 ^ (size * factor & U64)
    for i in range(0, size - 8, 8):
        h = (h ^ int.from_bytes(row[i : i + 8], "little")) * factor & U64
        h ^= h >> 29
    few = bytes([row[0], row[size // 2], row[-1]]) if row else b""
    last = row[-8:] if size > 8 else row[:4] + row[-4:] if size >= 4 else few
    return mixed_hash((h ^ int.from_bytes(last, "little")) * factor & U64)


def bloom_mask(token_hash: int, blocks: int, bits: int) -> dict[int, int]:
    """The bits of an n-gram of one token in a filter, by word: places in one block of 512 bits, drawn one after the other."""
    h = mixed_hash(token_hash)
    block, state, mask = ((h >> 32) * blocks) >> 32, mixed_hash(h), dict[int, int]()
    for _ in range(bits):
        state = (state * 0x9E3779B97F4A7C15 + 1) & U64
        word, bit = divmod(state >> 55, 64)
        mask[8 * block + word] = mask.get(8 * block + word, 0) | 1 << bit
    return mask
