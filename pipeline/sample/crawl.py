"""The sample crawl: several hundred pages that look like the web, generated here so that a first run needs no network.

Invariants:

* Equal seeds give equal bytes on one Python version.
* Each page has the fate that the baseline recipe gives it: ``stage/rule`` (for heuristics: there or among extract's early
  rules), ``quality`` (decided there by its score), or ``kept``.
* A page's choices come from a `Random` of its own, seeded by seed, maker and number: one more page of a kind changes no other
  page.
"""

import csv
import io
import json
import os
import re
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import ClassVar

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from goldwash.pipeline.sample import pages as made
from goldwash.pipeline.sample.pages import BENCHMARK, LANGUAGES, LAYOUTS, STYLES, TOPICS, Page

__all__ = ["Page", "pages", "write_sample"]

ARCHIVES = 4
DATE = "2024-05-18T{:02d}:{:02d}:{:02d}Z"
HOST_WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fern",
    "glen",
    "harbor",
    "iris",
    "juniper",
    "kestrel",
    "linden",
    "maple",
    "north",
    "orchard",
    "pebble",
    "quarry",
    "river",
    "stone",
    "thistle",
    "upland",
    "valley",
    "willow",
    "yonder",
]
BANNED_HOSTS = (
    "bingohall.co.uk", "www.bingo-corner.com", "play.casino-123.com", "blackjack-play.com:8080", "www.bingonearme.org:443",
    "WWW.BingoRoom.com", "news.blog.casino-association.com", "dating-life.com",
)  # fmt: skip
"""Hosts on UT1's list, as crawls write them: with ``www.``, as a subdomain, with a port, in capitals."""
BANNED_WORDS = ("nsfw", "viagra", "kinky", "cialis", "xxx", "bollocks", "smut", "tosser")
TOPIC_NAMES = tuple(TOPICS)

Maker = Callable[[int, Random], Page]


def address(kind: str, number: int, rng: Random) -> str:
    """A URL that no other page has."""
    host = "-".join(rng.sample(HOST_WORDS, 2))
    return f"{rng.choice(('http', 'https'))}://{rng.choice(('www.', '', 'blog.'))}{host}.example/{kind}/{number:03d}.html"


def topic_of(number: int) -> str:
    """The topics, one after the other."""
    return TOPIC_NAMES[number % len(TOPIC_NAMES)]


def title_of(topic: str, rng: Random) -> str:
    """A headline."""
    template = rng.choice(
        ("The {adj} {thing} of {name}", "{name} and the {thing}", "A {adj} {thing} in {month}", "{thing} notes")
    )
    return made.sentence(template, made.Deck(TOPICS[topic], rng))


def laid_out(
    kind: str, fate: str, number: int, rng: Random, content: tuple[str, str], layout: made.Layout | None = None
) -> Page:
    """An English page: a title, and HTML in one of the layouts."""
    url = address(kind, number, rng)
    html = (layout or rng.choice(LAYOUTS))(*content, url.split("/")[2], rng)
    return made.response(url, html, kind, fate)


# --- pages that reach the quality stage


def article(number: int, rng: Random) -> Page:
    """News, a blog, a shop, a list, in paragraphs; some in older encodings, with the quotes and dashes of word processors."""
    styles = ("news", "blog", "shop", "list")
    topic, style = topic_of(number // len(styles)), styles[number % len(styles)]
    texts = made.grouped(made.prose(topic, style, rng.randrange(9, 13), rng), rng.randrange(2, 5))
    page = laid_out(style, "quality", number, rng, (title_of(topic, rng), made.paragraphs(texts)))
    if number % 9:
        return page
    encoding = ("windows-1252", "iso-8859-1", "utf-8-sig")[number // 9 % 3]
    html = page.html.decode().replace("</p>", " \u2014 caf\u00e9 by the quay.</p>", 1).replace(", and ", "&nbsp;&amp; ", 1)
    return made.response(page.url, html, style, page.fate, encoding=encoding, declared=("header", "meta")[number % 2])


def forum(number: int, rng: Random) -> Page:
    """A forum thread; removing its few counters costs less than 5% of its words."""
    topic = topic_of(number)
    posts = made.grouped(made.prose(topic, "forum", 12, rng), 3)
    counters = [f"{rng.randrange(2, 60)} likes", f"{rng.randrange(2, 900)} views"]
    body = "\n".join(f'<div class="message"><p>{escape(post, quote=False)}</p></div>' for post in posts)
    body = body.replace("</p></div>", f"</p><p>{counters[0]}</p></div>", 1) + f"<p>{counters[1]}</p>"
    return laid_out(
        "forum", "quality", number, rng, (title_of(topic, rng), body), (made.bare, made.divided, made.modern)[number % 3]
    )


def documentation(number: int, rng: Random) -> Page:
    """A section of docstrings of the standard library."""
    module, texts = page_sections()[2 * number]
    return laid_out("documentation", "quality", number, rng, (f"Notes on the {module} module", made.paragraphs(texts)))


def tutorial(number: int, rng: Random) -> Page:
    """Prose of docstrings around a code listing."""
    module, texts = page_sections()[-1 - number]
    topic = TOPICS[topic_of(number)]
    verb, thing = (rng.choice(cards).replace(" ", "_") for cards in (topic.verbs, topic.things))
    code = (
        f"def {verb}({thing}, times={rng.randrange(2, 9)}):\n    for step in range(times):\n"
        f"        print('step', step, {thing})\n    return {thing} if times > {rng.randrange(9)} else None\n"
    )
    body = f"{made.paragraphs(texts[:1])}\n<pre><code>{escape(code)}</code></pre>\n{made.paragraphs(texts[1:])}"
    return laid_out("tutorial", "quality", number, rng, (f"Working with {module}: how to {verb}", body))


def table(number: int, rng: Random) -> Page:
    """Some sentences, and below them a table of words."""
    topic = topic_of(number)
    deck = made.Deck(TOPICS[topic], rng)
    rows = "\n".join(
        f"<tr><td>{made.sentence('{adj} {thing}', deck)}</td><td>{deck['place']}</td><td>{deck['month']}</td></tr>"
        for _ in range(6)
    )
    head = "<tr><th>Item</th><th>Place</th><th>Month</th></tr>"
    body = f"{made.paragraphs(made.prose(topic, 'list', 7, rng))}\n<table>{head}\n{rows}</table>"
    return laid_out("table", "quality", number, rng, (title_of(topic, rng), body), (made.modern, made.bare)[number % 2])


SHORT_LINES = (
    "the {thing} waits beside the {adj} wall|and {name} walks home with empty hands|no word of {name} since late {month}"
    "|the {adj} road runs down to sea|we sang to the {thing} on {day}"
    "|while rain fell on the {adj} roof|and all the lamps of {month} burned low"
    "|who kept the {thing} and the key|I have the letter that {name} wrote"
    "|to be as {adj} as the moon|with {name} asleep below the stairs"
    "|the {day} bells and the {adj} birds|a {adj} coat, a {adj} hat, a song"
    "|{name} forgot the {thing} at dawn|of {month} and the {adj} snow"
)  # fmt: skip


def _verses(topic: str, rng: Random) -> list[str]:
    deck, templates = made.Deck(TOPICS[topic], rng), SHORT_LINES.split("|")
    return [made.sentence(template, deck) for template in rng.sample(templates, len(templates))]


def verse(number: int, rng: Random) -> Page:
    """Short lines only: no line has the 13 words of an n-gram, and the page has copies."""
    lines = _verses(topic_of(number), rng)
    body = "\n".join("<p>" + "<br>\n".join(lines[i : i + 5]) + "</p>" for i in range(0, len(lines), 5))
    return laid_out("verse", "quality", number, rng, (f"Lines for {lines[0].split()[-1]}", body), made.bare)


def answers(number: int, rng: Random) -> Page:
    """Questions with explanations, which the quality classifier prefers."""
    return _explained("answers", "kept", number, rng, topic_of(number), "")


def examined(number: int, rng: Random) -> Page:
    """The same, with a benchmark question and its options, word for word."""
    subject, topic = (("high_school_physics", "physics"), ("nutrition", "health"), ("world_history", "history"))[number % 3]
    question, *options, letter = BENCHMARK[subject][number]
    right = options["ABCD".index(letter)]
    listed = "<br>\n".join(f"{name}. {escape(option)}" for name, option in zip("ABCD", options, strict=True))
    told = f"The correct answer is {letter}, which is to say: {escape(right)}."
    head = f"<p>{escape(question)}</p>\n<p>{listed}</p>\n<p>{told}</p>\n"
    return _explained("examined", "decontaminate/benchmark", number, rng, topic, head)


def _explained(kind: str, fate: str, number: int, rng: Random, topic: str, head: str) -> Page:
    pairs = made.explanations(topic, 4, rng)
    body = head + "\n".join(f"<h2>{question}</h2>\n<p>{answer}</p>" for question, answer in pairs)
    return laid_out(kind, fate, number, rng, (pairs[0][0], body), (made.modern, made.bare)[number % 2])


def page_sections() -> Sequence[made.Section]:
    """Two of three sections of docstrings; the third is an example for the classifier."""
    return [section for i, section in enumerate(made.manual()) if i % 3]


# --- pages that extraction drops


def binary(number: int, rng: Random) -> Page:
    """An image, a PDF, a robots.txt."""
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU" + zlib.compress(b"\0\0")
    kinds = (
        ("image", "image/png", png, "logo.png"),
        (
            "pdf",
            "application/pdf",
            b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n",
            "leaflet.pdf",
        ),
        ("robots", "text/plain", b"User-agent: *\nDisallow: /basket\nCrawl-delay: 5\n", "robots.txt"),
    )
    kind, content_type, body, name = kinds[number % len(kinds)]
    url = address(kind, number, rng).rpartition("/")[0] + f"/{number}/{name}"
    return Page(url, body, kind, "extract/not_html", made.headers(content_type, body))


def missing(number: int, rng: Random) -> Page:
    """A server's error page."""
    status = (404, 500, 404, 403, 503)[number % 5]
    texts = [f"Error {status}. The page that you asked for cannot be shown.", *made.prose(topic_of(number), "blog", 4, rng)]
    page = laid_out("error", "extract/http_status", number, rng, (f"Error {status}", made.paragraphs(texts)))
    return replace(page, status=status)


def empty(number: int, rng: Random) -> Page:
    """Scripts or a redirect: no text."""
    url = address("empty", number, rng)
    heads = (
        f'<meta http-equiv="refresh" content="0; url=/start-{number}">',
        f"<script>window.location.replace('/app/{rng.randrange(10**6)}');</script>",
        f'<script src="/static/app.{rng.randrange(10**8):08x}.js" defer></script><style>p {{ margin: {number}em }}</style>',
    )
    body = '<div id="root"></div>' if number % 2 else f"<script>render({rng.randrange(10**6)})</script>"
    html = f"<!DOCTYPE html><html><head>{heads[number % 3]}<title>Loading {number}</title></head><body>{body}</body></html>"
    return made.response(url, html, "empty", "extract/no_text")


# --- pages that heuristics drop


def banned_host(number: int, rng: Random) -> Page:
    """A harmless text on a listed host."""
    page = replace(article(700 + number, rng), kind="banned-host", fate="heuristics/url_host_count")
    return replace(page, url=f"http://{BANNED_HOSTS[number]}/page-{number}.html")


def banned_word(number: int, rng: Random) -> Page:
    """A harmless text at a URL with a banned word."""
    page = replace(article(710 + number, rng), kind="banned-word", fate="heuristics/url_word_count")
    word = BANNED_WORDS[number]
    tail = (f"{word}/{number}.html", f"list-{word}.html", f"index.php?tag={word}", f"a/{word.upper()}/b.htm")[number % 4]
    return replace(page, url=page.url.rsplit("/", 1)[0] + "/" + tail)


def foreign(number: int, rng: Random) -> Page:
    """A page in another language and one of its encodings, declared in one of several places or nowhere."""
    drawn = rng.choices(tuple(LANGUAGES), range(len(LANGUAGES) + 4, 4, -1))[0]
    language = (*LANGUAGES, *[drawn] * (number + 1))[number]
    encoding = rng.choice(LANGUAGES[language][0])
    sentences = made.foreign_sentences(language, rng.randrange(9, 25), rng)
    body = made.paragraphs([made.joined(language, group) for group in made.in_groups(sentences[1:], rng.randrange(2, 6))])
    url = address(language, number, rng)
    html = rng.choice(LAYOUTS)(sentences[0], body, url.split("/")[2], rng)
    declared = rng.choice(("header meta", "header", "meta", "meta", "header meta", ""))
    return made.response(url, html, f"foreign-{language}", "heuristics/language", encoding=encoding, declared=declared)


def short(number: int, rng: Random) -> Page:
    """Too few words."""
    openings = (
        "This page is under construction.",
        "Please log in to see this page.",
        "Thank you for your order.",
        "You can write to us here.",
    )
    texts = [openings[number % 4], *made.prose(topic_of(number), "news", 1, rng)]
    return laid_out("short", "heuristics/fasttext_word_count", number, rng, ("Welcome to our page", made.paragraphs(texts)))


def _dropped(kind: str, rule: str, number: int, rng: Random, texts: Sequence[str], title: str = "") -> Page:
    title = title or title_of(topic_of(number), rng)
    layout = (made.bare, made.modern, made.old)[number % 3]
    return laid_out(kind, f"heuristics/{rule}", number, rng, (title, made.paragraphs(texts)), layout)


LONG_WORDS = made.cards(
    "administrators|responsibilities|characteristically|internationally|recommendations|environmental|understanding|communications"
    "|representatives|transportation|professionally|opportunities|organisational|approximately|comprehensive|unfortunately"
    "|manufacturing|accomplishments|neighbourhoods|circumstances|extraordinary|misunderstandings|straightforward|congratulations"
    "|disappointment|advertisements|investigations|entertainment|philosophically|constitutional|demonstrations|knowledgeable"
)
SHORT_WORDS = made.cards(
    "he is up|I am at it|so do we|go to it|as I do|we go in|it is on|do as he|if I am in|no, it is|is it so|be on it|or am I"
)


def word_length(number: int, rng: Random) -> Page:
    """Words that are too long, or too short, on average."""
    if number % 2:
        texts = [" ".join(rng.sample(SHORT_WORDS, len(SHORT_WORDS))) + "." for _ in range(3)]
    else:
        words = [word for _ in range(3) for word in rng.sample(LONG_WORDS, 24)]
        texts = [f"The {' '.join(words[i : i + 8])} and {words[i + 8]}." for i in range(0, len(words) - 8, 9)]
    return _dropped("word-length", "mean_word_length", number, rng, texts, "It is so" if number % 2 else "Recommendations")


def tags(number: int, rng: Random) -> Page:
    """Posts with a hash before every third word."""
    sentences = made.prose(topic_of(number), "blog", 8, rng)
    return _dropped(
        "tags", "symbol_word_ratio", number, rng, [re.sub(r"(\S+ \S+ )(\w+)", r"\1#\2", text) for text in sentences]
    )


def bullets(number: int, rng: Random) -> Page:
    """Every line is a list item."""
    mark = ("-", "*", "\u2022")[number % 3]
    texts = [f"{mark} {text}" for text in made.prose(topic_of(number), "list", 11, rng)]
    return _dropped("bullets", "bullet_line_fraction", number, rng, texts, f"{mark} Our list")


def teasers(number: int, rng: Random) -> Page:
    """Every line ends in an ellipsis."""
    sentences = made.prose(topic_of(number), "news", 10, rng)
    dots = ("...", "\u2026", ". . .")[number % 3]
    return _dropped("teasers", "ellipsis_line_fraction", number, rng, [text.rsplit(" ", 1)[0] + dots for text in sentences])


def prices(number: int, rng: Random) -> Page:
    """A price list: more numbers than the rule allows."""
    deck = made.Deck(TOPICS[topic_of(number)], rng)
    line = "the {thing} with a {adj} box: {n} + {n} = {n} for {name}, was {n}"
    return _dropped("prices", "nonalphabetic_word_fraction", number, rng, [line.format_map(deck) for _ in range(9)])


STOPLESS = made.cards(
    "This is a {adj} {thing} for you, now in our {month} sale.|You can buy your {thing} here at low prices from {name}."
    "|Is your {thing} too {adj}? We are here on {day}!|Our {thing} is {adj}, yours for {n} only."
    "|All our customers love this {adj} {thing} in {month}."
    "|Call {name} on {day} or visit us for {adj} offers.|It is as {adj} as your own {thing}, says {name}."
    "|Free {thing} for all new members this {month}."
    "|Why not try our {adj} {thing} at home?|We sell more than {n} models, all {adj} or better."
    "|{name} will help you on {day}, so do not wait."
)


def stopless(number: int, rng: Random) -> Page:
    """Shop text without stop words."""
    deck = made.Deck(TOPICS[topic_of(number)], rng)
    texts = [made.sentence(template, deck) for template in rng.sample(STOPLESS, len(STOPLESS))]
    return _dropped("stopless", "stop_word_count", number, rng, texts, "All our offers")


def repeated(number: int, rng: Random) -> Page:
    """Repeated lines, paragraphs or phrases."""
    topic = topic_of(number)
    deck = made.Deck(TOPICS[topic], rng)
    if number % 3 == 0:
        button = made.sentence("Add the {thing} to your basket and have it by {day}", deck)
        texts = [text for line in made.prose(topic, "shop", 7, rng) for text in (line, button)]
    elif number % 3 == 1:
        texts = made.grouped(made.prose(topic, "blog", 5, rng), 2) * 2
    else:
        phrase = made.sentence("looking for the best and cheapest {adj} {thing} near you", deck)
        texts = [f"{phrase} in {city}? Our {city} team will call you on {deck['day']}." for city in rng.sample(CITIES, 9)]
    return _dropped("repeated", "repetition", number, rng, texts)


CITIES = [
    "Leeds",
    "Cork",
    "Ghent",
    "Delft",
    "Bergen",
    "Malmo",
    "Turku",
    "Basel",
    "Lyon",
    "Porto",
    "Siena",
    "Kotor",
    "Uppsala",
    "Trier",
    "Gotland",
]


def _noise(number: int, deck: made.Deck) -> list[str]:
    n, name, thing = (deck[slot] for slot in ("n", "name", "thing"))
    shapes = (
        [f"{n}{deck['n']} {noun}" for noun in ("likes", "shares", "comments", "views", "downloads", "followers")],
        [
            made.sentence(line, deck).upper()
            for line in ("{name} reserves all rights to the {thing}", "no refunds after {month} at {place}")
        ],
        [f"{deck['month']}{deck['n']}" for _ in range(12)],
        [
            f"Sign-in {('to follow', 'and tell', 'or call', 'with', 'like')[i % 5]} {deck['name']} {deck['day']}"
            for i in range(15)
        ],
        [f"{deck['person']} and the {deck['thing']} Read more..." for _ in range(5)],
        [f"You have {deck['n']} items in cart, {who}" for who in (name, f"{thing} fan", "guest", "dear friend", deck["name"])],
        [str(1000 + 37 * int(deck["n"]) + i) for i in range(11)],
    )
    return shapes[number % len(shapes)]


def lossy(number: int, rng: Random) -> Page:
    """Prose that loses more than 5% of its words when lines of counters, capitals, numbers and buttons are removed."""
    topic = topic_of(number)
    noise = _noise(number, made.Deck(TOPICS[topic], rng))
    broken_off = noise[0].endswith("...")
    lines = _verses(topic, rng) if broken_off else made.prose(topic, "news", 7, rng)
    for i, line in enumerate(noise):
        lines.insert((2 * i + 1) % (len(lines) + 1), line)
    return _dropped("lossy", "lost_word_fraction", number, rng, lines)


# --- the crawl

PLAN: tuple[tuple[Maker, int], ...] = (
    (article, 92), (forum, 20), (documentation, 68), (tutorial, 18), (table, 10), (verse, 2), (answers, 12), (examined, 6),
    (binary, 6), (missing, 10), (empty, 10), (banned_host, len(BANNED_HOSTS)), (banned_word, len(BANNED_WORDS)),
    (foreign, 276), (short, 18), (word_length, 6), (tags, 6), (bullets, 6), (teasers, 6), (prices, 7), (stopless, 8),
    (repeated, 24), (lossy, 21),
)  # fmt: skip
MIRRORS = 28
DIGESTS = 8


def pages(seed: int = 0) -> list[Page]:
    """The pages of the crawl, in order: a copy comes after its original, a digest after both of its sources."""
    originals = [maker(i, Random(f"{seed}/{maker.__name__}/{i}")) for maker, count in PLAN for i in range(count)]
    rng = Random(f"{seed}/order")
    rng.shuffle(originals)
    verses = [page for page in originals if page.kind == "verse"]
    worth_copying = [p for p in originals if p.fate == "quality" and p.kind in ("documentation", "news", "blog", "forum")]
    copied = verses * 2 + rng.sample(worth_copying, MIRRORS - 2 * len(verses))
    long = [page for page in worth_copying if page.kind in ("news", "blog") and len(_paragraphs(page)) > 3]
    drawn = rng.sample(long, 2 * (DIGESTS - len(verses)))
    sources = [(verse, verse) for verse in verses] + list(zip(drawn[::2], drawn[1::2], strict=True))
    for i, page in enumerate(copied):
        _put(_copy(page, i, rng), originals, rng, page)
    for i, pair in enumerate(sources):
        _put(_digest(*pair, i, rng), originals, rng, *pair)
    return originals


def _put(page: Page, crawl: list[Page], rng: Random, *after: Page) -> None:
    crawl.insert(rng.randrange(max(map(crawl.index, after)) + 1, len(crawl) + 1), page)


def _copy(page: Page, number: int, rng: Random) -> Page:
    """An exact mirror, or every third time a copy with one word changed to a shorter one, so that the original survives."""
    html, kind = page.html, "mirror"
    if number % 3 == 2 and page.kind != "verse":
        kind = "near-copy"
        html = re.sub(rb"(<p>.*?) the ", rb"\1 a ", html, count=1, flags=re.IGNORECASE | re.DOTALL)
    url = address("mirror", number, rng)
    served = tuple((name, str(len(html)) if name == "Content-Length" else value) for name, value in page.headers)
    return Page(url, html, kind, "minhash/near_copy", served)


def _digest(page: Page, other: Page, number: int, rng: Random) -> Page:
    """Two paragraphs of each of two pages, or two stanzas of a verse: a near copy of neither, with no text of its own."""
    texts = _paragraphs(page)[:2] + (_paragraphs(other)[-2:] if other is not page else [])
    title = re.findall("<title>([^<|&]*)", page.html.decode(), re.IGNORECASE)[0].strip()
    return laid_out("digest", "bloom/duplicate", number, rng, (title, "\n".join(f"<p>{text}</p>" for text in texts)), made.bare)


def _paragraphs(page: Page) -> list[str]:
    """A page's longer paragraphs; ``[]`` if a character is not ASCII."""
    return re.findall(r"<p>((?:[^<]|<br>){100,})", page.html.decode(), re.IGNORECASE) if page.html.isascii() else []


# --- files


def record_id(url: str, kind: str = "response") -> str:
    """The WARC-Record-ID of the record of this type for a URL."""
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, url if kind == 'response' else kind + ' ' + url)}>"


def write_sample(out: str | Path, seed: int = 0) -> None:
    """Write ``crawl/*.warc.gz``, ``fates.jsonl``, ``classifier/*.jsonl`` and ``benchmark/test/*.csv`` below ``out``."""
    out, crawl = Path(out), pages(seed)
    size = -(-len(crawl) // ARCHIVES)
    for i in range(ARCHIVES):
        name = f"sample-{i:05d}.warc.gz"
        _write(out / "crawl" / name, archive(name, crawl[i * size : (i + 1) * size], i))
    fates = ({"id": record_id(page.url), "url": page.url, "kind": page.kind, "fate": page.fate} for page in crawl)
    _write(out / "fates.jsonl", _json_lines(fates))
    write_examples(out / "classifier", seed)
    write_questions(out / "benchmark")


def write_examples(out: str | Path, seed: int = 0) -> None:
    """Write the classifier's examples, ``positive.jsonl`` and ``negative.jsonl``, into the folder ``out``."""
    _write(Path(out) / "positive.jsonl", _json_lines(positives(seed)))
    _write(Path(out) / "negative.jsonl", _json_lines(negatives(seed)))


def write_questions(out: str | Path) -> None:
    """Write the benchmark's questions, ``test/*.csv`` as MMLU has them, into the folder ``out``."""
    for subject, questions in BENCHMARK.items():
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows(questions)
        _write(Path(out) / "test" / f"{subject}_test.csv", table.getvalue().encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_bytes(content)
    os.replace(half, path)


def _json_lines(rows: Iterable[object]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def archive(name: str, crawl: Sequence[Page], number: int) -> bytes:
    """A WARC, gzipped record by record: warcinfo, responses, some with their request; in the last archive other types too."""
    file = io.BytesIO()
    records = _Records(file, number)
    about = b"software: goldwash sample\r\nformat: WARC File Format 1.0\r\n"
    records.write("warcinfo", name, about, "application/warc-fields", WARC_Filename=name)
    for i, page in enumerate(crawl):
        if i % 10 == 0:
            records.request(page.url)
        records.response(page)
    if number == ARCHIVES - 1:
        records.others(crawl[0].url)
    return file.getvalue()


class _Records:
    """Writes the records of one archive, a second of the crawl's day apart."""

    _http_types: ClassVar = {kind: f"application/http; msgtype={kind}" for kind in ("request", "response")}

    def __init__(self, file: io.BytesIO, number: int) -> None:
        self._writer = WARCWriter(file, gzip=True, warc_version="1.0")
        self._seconds = 3600 * number

    def write(self, kind: str, url: str, payload: bytes, content: str | StatusAndHeaders, **more: str) -> None:
        """A record of this type; ``content``: its type, or HTTP headers; ``more``: WARC headers, ``_`` for ``-``."""
        self._seconds += 1
        hours, rest = divmod(self._seconds, 3600)
        named = {"WARC-Record-ID": record_id(url, kind), "WARC-Date": DATE.format(hours, *divmod(rest, 60))}
        named |= {name.replace("_", "-"): value for name, value in more.items()}
        http = None if isinstance(content, str) else content
        record = self._writer.create_warc_record(
            "" if kind == "warcinfo" else url,
            kind,
            payload=io.BytesIO(payload),
            length=len(payload),
            warc_content_type=content if isinstance(content, str) else self._http_types.get(kind, self._http_types["response"]),
            http_headers=http,
            warc_headers_dict=named,
        )
        self._writer.write_record(record)

    def request(self, url: str) -> None:
        """The crawler's request."""
        _, _, host, path = url.split("/", 3)
        asked = [("Host", host), ("User-Agent", "goldwash-sample")]
        self.write(
            "request",
            url,
            b"",
            StatusAndHeaders(f"GET /{path} HTTP/1.1", asked, is_http_request=True),
            WARC_Concurrent_To=record_id(url),
        )

    def response(self, page: Page) -> None:
        """The server's response."""
        status = f"{page.status} {HTTPStatus(page.status).phrase}"
        self.write("response", page.url, page.html, StatusAndHeaders(status, list(page.headers), protocol="HTTP/1.1"))

    def others(self, url: str) -> None:
        """Records of the types that contain no page."""
        fetched = b"fetchTimeMs: 42\r\ncharset-detected: UTF-8\r\n"
        self.write("metadata", url, fetched, "application/warc-fields", WARC_Concurrent_To=record_id(url))
        self.write("resource", "dns:maple-stone.example", b"maple-stone.example. 300 IN A 192.0.2.7\n", "text/dns")
        unchanged = StatusAndHeaders("304 Not Modified", [("Server", "nginx")], protocol="HTTP/1.1")
        profile = "http://netpreserve.org/warc/1.0/revisit/server-not-modified"
        self.write("revisit", url, b"", unchanged, WARC_Profile=profile, WARC_Refers_To=record_id(url))


# --- what the quality classifier learns from


def positives(seed: int, count: int = 150) -> Iterator[dict[str, object]]:
    """Explanations in the two forms of instruction datasets, mixed."""
    for i in range(2 * count):
        rng = Random(f"{seed}/positive/{i}")
        pairs = made.explanations(topic_of(i), rng.randrange(1, 3), rng)
        if i % 2:
            yield {"question": pairs[0][0], "answer": pairs[0][1], "source": "sample-questions"}
        else:
            turns = [{"from": who, "value": value} for pair in pairs for who, value in zip(("human", "gpt"), pair, strict=True)]
            yield {"conversations": turns, "source": "sample-instructions"}


def negatives(seed: int, count: int = 300) -> Iterator[dict[str, str]]:
    """Texts as on the web: chatter of all styles; every fifth is documentation."""
    sections = made.manual()[::3]
    for i in range(count):
        rng = Random(f"{seed}/negative/{i}")
        style = tuple(STYLES)[i % len(STYLES)]
        texts = made.prose(topic_of(i // len(STYLES)), style, rng.randrange(5, 10), rng)
        if i % 5 == 4:
            texts = list(sections[i // 5 % len(sections)][1])
        yield {"text": "\n".join(made.grouped(texts, 3)), "source": "sample-web"}
