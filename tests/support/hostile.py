"""Documents that attack whoever shows them: markup, terminal escapes, direction marks, endless lines, odd hosts."""

HOSTILE = ("<script>window.pwned", "<img src=x", "\x1b[", "\u202e", "\u2066", "\x07", "\u200b", "</script><", "<b-hostile")
"""What must not be in a page or on a terminal as it is."""

TEXTS = (
    "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'> one two three four five",
    "</script></style></title><script>window.pwned=1</script> one two three four",
    "<b-hostile>]]> --> ${7*7} {{7*7}} {% raw %} one two three",
    "\u202egnp.exe \u2066 isolated \u2069 \u200b one two three four",
    "\x1b[31mred\x1b[0m \x07 \x9b31m one two three four",
    "word" * 2_500_000,
    "x " * 20,
    "\u0e49" * 500 + " a b c d",
    "javascript:alert(1) data:text/html,<script>window.pwned=1</script> a b",
)

URLS = (
    "javascript:window.pwned=1", "https://a.example/\"onmouseover=\"window.pwned=1", "https://<script>window.pwned=1</script>/",
    "https://\u202egnp.example/", "http://[::1]:80/x", "https://user:secret@host.example/",
    "https://" + "h" * 5000 + ".example/",
    "https://ex\x1b[31mample/", "",
)  # fmt: skip


def documents() -> tuple[list[str], list[str], list[str]]:
    """Texts, ids and URLs: 12 documents of each kind, so that each host is among those that are listed."""
    texts, ids, urls = [], [], []
    for n in range(12):
        for k, (text, url) in enumerate(zip(TEXTS, URLS, strict=True)):
            texts.append(text if n == 0 or len(text) < 10_000 else "short")
            urls.append(url)
            ids.append(f"<script>window.pwned=1</script>\u202e{n}-{k}")
    return texts, ids, urls
