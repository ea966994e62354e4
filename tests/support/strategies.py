"""Hypothesis: texts that are hard on kernels.

Characters whose Word_Break property differs between the Unicode data of `uniseg` and of `regex` are left out: the unassigned
ones, and U+00B8, which became a letter in Unicode 16.
"""

from hypothesis import strategies as st

HOSTILE = [
    "a", "Z", "é", "ß", "İ", "Ж", "中", "ア", "ー", "가", "𝔘", "𐍈", "😀", "👩\u200d🚀", "\u200d", "\u200d❤", "Ⓜ", "\u200dⓂ",
    "🇩", "🇪🇸", "א", "ב\"ג", "ד'ה", "ש״ס", "e\u0301", "\u0301", "\u0489", "\ufe0f", "\u00ad", "\u200b", "\ufeff",
    "\u200e", "0", "7", "٣", "²", "½", "Ⅷ", "१", "3.14", "1,000", "1'0", "a_b", "_", "can't", "o’clock", "a:b", "a.b",
    "x..y", "\0", "\n", "\n\n", "\n\n\n", "\r", "\r\n", "\t", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85",
    "\u2028", "\u2029", " ", "  ", "           ", "\u00a0", "\u1680", "\u2003", "\u202f", "\u3000", ".", "...", "....",
    ". . .", ". . . .", "…", "#", "##", "●", "• ", "* ", "- ", "*", "-", "!", "“", "(", "\\", "¡", "_the", "the", "The",
    "THE", "be", "to", "of", "and", "that", "have", "with", "word", "words", "</s>", "__label__", "__label__hq",
]  # fmt: skip

WEB = [
    "[1]", "[]", "[edit]", "[citation needed]", "[٣]", "[Edit]", "[1", "[[2]]", "。", "? ", '." ', ".) ", "!” ", "e.g. ",
    "http://", "https://", "ftp://", "ahttp://", "HTTP://", "www.", "wwwx.", "xwww.", "://", "//", "@", "?q=1&b=2",
    "#top", ":80", "%20", "example.com", "a.b.co.uk", "main.py", "asp.net", "here.It", "user@mail.org", "x.museum-y",
    "пример.рф", "a.рф", "a.भारत", ".com", ".com.", "com", "x.comx", "x.com_y", "x.co-m", "a" * 40, "a." * 20, "-", "~",
    "=", "+", "/", "/path/x.html", "(y)", "1.2.3.4", "10.0.0.255:80/x", "1.2.3", "256.1.1.1.1", "v1.2.3.4",
    "http://1.2.3.4/a", "299.99.9.09", "8.8.8.8", "john.doe@firm.com", "+49 30 1234567", "(212) 555-0187", "Tel. 030/1234567",
    "card 4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", " 2001:4860:4860::8888 ",
]  # fmt: skip

LINES = [
    "", " ", "3 likes", "1.2K views", "12,345 followers!", "1 like", "x 3 likes", "• 3 Comments •", "٣ likes", "3likes",
    "3 k likes", "3k  likes", "3. shares_", "123", "1 23", "SHOUTING LINE", "Half HALF", "Sign-in", "sign-in now",
    "Sign-in  to a page", "Read more...", "and Read more>>>", "READ MORE!!!", "read more", "Items in cart",
    "3 items  in cart", "2 items in cart today", "items in cart items in cart", "a b c d e f g h i j items in cart",
    "a b c d e f g h i items in cart", "the same line again", "the same line again.", "* a bullet", "- another",
    "ends ...", "ends …", "ends . . .", "ends..", "the cat sat on the mat and the cat sat on the hat",
    "a a a a a a a a a a a a", "one two three four five six seven eight nine ten eleven", "\u3000wide\u3000",
    "\x1ctrimmed\x1f",
]  # fmt: skip

CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cn"], exclude_characters="¸")

PIECES = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from(WEB),
    st.sampled_from(LINES).map(lambda line: line + "\n"),
    st.text(CHARACTERS, max_size=6),
    st.sampled_from(["a ", "b ", "the ", "of ", "x.com ", "word "]),  # a small vocabulary, so that words repeat
)


def _repeated(pieces: list[str], separator: str, times: int) -> str:
    return separator.join(pieces * times)


TEXT = st.one_of(
    st.lists(PIECES, max_size=30).map("".join),
    st.lists(st.sampled_from(LINES), max_size=12).map("\n".join),
    st.builds(_repeated, st.lists(PIECES, max_size=5), st.sampled_from(["\n", " ", "\n\n", "", "\r\n"]), st.integers(0, 6)),
    st.lists(st.sampled_from(["a", "b", "c", "de", "de.", "É"]), max_size=60).map(" ".join),
    st.lists(st.sampled_from(WEB), max_size=12).map("".join),
    st.builds(lambda piece, n: piece * n, PIECES, st.integers(0, 300)),  # one long line
)

TEXTS = st.lists(TEXT, max_size=6)

HOST = st.sampled_from(
    [
        "example.com", "www.example.com", "a.b.Example.com", "EXAMPLE.com.", "example.com:8080", "user:pw@example.com",
        "u@sub.example.org:1", "notexample.com", "example.com.evil.net", "bücher.de", "www.bücher.de:80",
        "XN--BCHER-KVA.de", "[::1]:8080", "[2001:db8::1]", "1.2.3.4:80", "[", "", " example.com ", "..example.com",
        "a..example.com", "localhost", "com", "www.www.example.com", "example.com@evil.net",
    ]
)  # fmt: skip

URL = st.one_of(
    st.builds(
        lambda scheme, host, rest: scheme + host + rest,
        st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "//"]),
        HOST,
        st.sampled_from([
            "", "/", "/bad/bad_word", "/a?x=//b.com", "#f", "?q=bad-word&really_bad", "/BAD", "/b-a.d", "/very%20bad",
            "/é/bad\u0301",
        ]),
    ),
    st.sampled_from([
        "", "example.com/a", "mailto:a@example.com", "http:", "http:/example.com", "a b", "bad", "\0", "://",
    ]),
    st.lists(st.sampled_from([*HOSTILE, "bad", "worse", "really bad"]), max_size=8).map("".join),
)  # fmt: skip

URLS = st.lists(URL, max_size=6)

HOSTILE_BATTERY = [
    "", " ", "\n", "\r\n\r\n", "\0", "\u2028", "é", "…", "𝔘", "\u0301", "\u200d", "🇩", "a:", "1,", "א\"", "א'", ". .",
    "..", ".", "http://", "ftp://", "a.com", "http://a.com", "ftp://a.com", ".com", "a.рф", "a.рф ", "1.2.3.4", "1.2.3.",
    "3 likes", "3", "3k ", "3 ", "sign-in", "read more", "read more>>>", "...", ". . .", "x…", "#", "__label__", "</s>",
    "\u2028\u2029\x85", "x" * 300 + ".com", "".join(HOSTILE), "".join(WEB), "\n".join(LINES), " ".join(HOSTILE * 2),
    " ".join(WEB), "\n\n".join(LINES * 2), "the cat sat on the mat. " * 9, "a " * 50, "Ⓜ\u200dⓂ\u0301", "中文。。\n中文。",
    "sign-in now", "and read more...", "and read more>>>", "3 items in cart", "the cat", "a cat",
]  # fmt: skip
"""Texts for subprocesses that are too slow for hypothesis."""
