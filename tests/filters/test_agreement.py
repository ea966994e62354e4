"""Each cut, signal and edit says what its plain-Python twin says, on hostile texts and on real pages."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given

from goldwash.filters import edits, lines, personal_data, repetition, url, words  # noqa: F401  (they declare their signals)
from goldwash.filters.edits import KeepLines
from goldwash.filters.links import top_level_domains, url_beginnings
from goldwash.filters.lists import entries, plain_host
from goldwash.filters.signals import EDITS, SIGNALS, Keep, Signal
from goldwash.filters.texts import Texts
from tests import reference
from tests.support.strategies import HOSTILE_BATTERY, TEXTS, URLS

HERE = [name for name, signal in SIGNALS.items() if signal.function.__module__.startswith("goldwash.filters")]
ON_TEXT = sorted(name for name in HERE if SIGNALS[name].column == "text")

NEEDED = ("phrase_count",)  # parameters without a default
PHRASES = ("bad", "bad word", "WORSE", "really bad", "é", "d/bad", "badbad", "q=bad-word")
URL_CASES: list[tuple[str, dict[str, Any]]] = [
    ("url_substring_count", {"phrases": PHRASES}),
    ("url_substring_count", {"phrases": PHRASES, "ignoring": "-._"}),
    ("url_word_count", {"phrases": PHRASES}),
    ("url_word_count", {"phrases": PHRASES, "ignoring": "-"}),
]
HOSTS = ("example.com", "sub.example.org", "xn--bcher-kva.de", "com", "localhost", "1.2.3.4", "b.example.com", ".example.com")

EDIT_CASES: list[tuple[str, dict[str, Any]]] = [
    *[("squeeze_newlines", {"max": n}) for n in (1, 2, 5)],
    *[
        ("remove_urls", {"bare_hosts": bare, "only_after_tld": quirk, "tlds": tlds})
        for tlds in (("com", "co", "uk", "org", "py", "net", "museum", "рф", "भारत", "it"), ())
        for bare in (True, False)
        for quirk in (True, False)
    ],
    ("remove_citations", {}),
    ("mask_personal_data", {}),
    ("mask_personal_data", {"template": "<{kind}>", "kinds": ("email", "phone", "ipv6")}),
    ("delete_phrase", {"phrase": "items in cart"}),
    ("delete_phrase", {"phrase": "items in cart", "max_words": 4}),
    ("delete_phrase", {"phrase": "Read more...", "position": "suffix", "dot_is_any_character": True}),
    ("delete_phrase", {"phrase": "Read more...", "position": "suffix"}),
    ("delete_phrase", {"phrase": "Sign-in", "position": "prefix"}),
    ("delete_phrase", {"phrase": "a"}),
    ("delete_phrase", {"phrase": "the", "position": "prefix", "max_words": 3}),
]

LINE_CASES: list[tuple[str, dict[str, float], bool, bool]] = [
    ("uppercase_fraction", {"max": 0.5}, True, True),
    ("digit_fraction", {"max": 0.999999}, True, True),
    ("counter_line_count", {"max": 0}, True, True),
    ("word_count", {"min": 2}, False, True),
    ("word_count", {"min": 2}, True, False),
    ("mean_word_length", {"max": 3}, False, False),  # nan for a blank line
]


def twin_values(name: str, texts: Sequence[str], **parameters: Any) -> list[float]:
    return [reference.value(name, text, **parameters) for text in texts]


def agree(signal: Signal, strings: Sequence[str], expected: Sequence[float]) -> None:
    got = signal.measure(Texts.of(strings))
    for text, ours, theirs in zip(strings, got.tolist(), expected, strict=True):
        assert ours == theirs or (np.isnan(ours) and np.isnan(theirs)), (signal.name, text, ours, theirs)


def edits_agree(edit: Callable[[Texts], Texts], twin: Callable[[str], str], strings: Sequence[str]) -> None:
    got = edit(Texts.of(strings))
    for text, ours in zip(strings, got, strict=True):
        assert ours == twin(text), text


def edit_pair(name: str, parameters: dict[str, Any]) -> tuple[Callable[[Texts], Texts], Callable[[str], str]]:
    """An edit and its twin with these parameters; no top-level domains mean all."""
    plain = parameters
    if name == "remove_urls" and not parameters["tlds"]:
        plain = parameters | {"tlds": top_level_domains()}
    return EDITS[name].bind(**parameters), lambda text: reference.EDITS[name](text, **plain)


def lines_pair(name: str, bounds: dict[str, float], strip: bool, empty: bool) -> tuple[KeepLines, Callable[[str], str]]:
    def passes(line: str) -> bool:
        found = reference.value(name, line)
        return bounds.get("min", -np.inf) <= found <= bounds.get("max", np.inf)

    ours = KeepLines(Keep(SIGNALS[name], **bounds), strip=strip, empty=empty)
    return ours, lambda text: reference.EDITS["keep_lines"](text, passes, strip=strip, empty=empty)


def test_every_signal_and_edit_has_a_twin() -> None:
    assert set(HERE) - set(reference.REFERENCE) == set()
    assert set(EDITS) - set(reference.EDITS) == set()


@pytest.mark.parametrize("cut", reference.CUTS)
@given(strings=TEXTS)
@example(strings=HOSTILE_BATTERY)
def test_cuts(cut: str, strings: list[str]) -> None:
    texts = Texts.of(strings)
    pieces = getattr(texts, cut)
    parents = pieces.parents.tolist()
    got = [[pieces[k] for k in range(a, b)] for a, b in pairwise(parents)]
    assert got == [reference.CUTS[cut](text) for text in strings]


@pytest.mark.parametrize("name", [name for name in ON_TEXT if name in reference.REFERENCE and name not in NEEDED])
@given(strings=TEXTS)
@example(strings=HOSTILE_BATTERY)
def test_signals(name: str, strings: list[str]) -> None:
    agree(SIGNALS[name], strings, twin_values(name, strings))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("stop_word_count", {"words": ("word", "WORDS", "é", "the")}),
        ("distinct_stop_word_count", {"words": ("word", "WORDS", "é", "the")}),
        ("counter_line_count", {"nouns": ("Views", "points")}),
        ("terminal_line_fraction", {"marks": '.!?"'}),
        ("short_line_fraction", {"length": 5}),
        ("phrase_count", {"phrases": ("The", "the", "…", "sign-IN", "é", ". ")}),
    ],
)
@given(strings=TEXTS)
@example(strings=[*HOSTILE_BATTERY, "Word WORD words É é", "3 POINTS"])
def test_signals_with_parameters(name: str, parameters: dict[str, Any], strings: list[str]) -> None:
    agree(SIGNALS[name].bind(**parameters), strings, twin_values(name, strings, **parameters))


@pytest.mark.parametrize(("name", "parameters"), URL_CASES)
@given(urls=URLS)
@example(urls=HOSTILE_BATTERY)
def test_url_phrases(name: str, parameters: dict[str, Any], urls: list[str]) -> None:
    agree(SIGNALS[name].bind(**parameters), urls, twin_values(name, urls, **parameters))


@pytest.fixture(scope="module")
def host_list(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("lists") / "hosts"
    file.write_text("\n".join(HOSTS))
    return str(file)


@pytest.mark.parametrize("exact", [False, True])
@given(urls=URLS)
@example(urls=HOSTILE_BATTERY)
def test_url_hosts(host_list: str, exact: bool, urls: list[str]) -> None:
    hosts = [plain_host(entry) for entry in entries(host_list)]
    signal = SIGNALS["url_host_count"].bind(hosts=host_list, exact=exact)
    agree(signal, urls, twin_values("url_host_count", urls, hosts=hosts, exact=exact))


@pytest.mark.parametrize(("name", "parameters"), EDIT_CASES)
@given(strings=TEXTS)
@example(strings=HOSTILE_BATTERY)
def test_edits(name: str, parameters: dict[str, Any], strings: list[str]) -> None:
    edits_agree(*edit_pair(name, parameters), strings)


PIECES = (
    *(
        "\n" * 2,
        "\n" * 3,
        "\n" * 7,
        "\r\n" * 3,
        "\n\r\n\r\n",
        "\n \n\n",
        "http://a.com/b",
        "ftp://c.org",
        "www.b.org",
        "wwww.d.com",
    ),
    *("1.2.3.4", "https://1.2.3.4/x", "2.5", "://", "read more...\n", "[12]"),
)


@pytest.mark.parametrize(("name", "parameters"), EDIT_CASES)
@pytest.mark.parametrize("after", ["", " y", "y" * 70])
def test_edits_at_the_edges_of_blocks(name: str, parameters: dict[str, Any], after: str) -> None:
    edits_agree(*edit_pair(name, parameters), [" " * 51 + "x" * k + p + after for k in range(1, 16) for p in PIECES])


def test_texts_that_have_a_url_at_the_edges_of_blocks() -> None:
    strings = ["x" * k + piece + "y" * after for k in range(56, 66) for after in (0, 1, 70) for piece in PIECES]
    texts = Texts.of(strings)
    found = url_beginnings(texts.utf8, texts.starts, texts.ends)
    assert found.tolist() == ["://" in text or "www." in text for text in strings]


@pytest.mark.parametrize(("name", "bounds", "strip", "empty"), LINE_CASES)
@given(strings=TEXTS)
@example(strings=HOSTILE_BATTERY)
def test_keep_lines(name: str, bounds: dict[str, float], strip: bool, empty: bool, strings: list[str]) -> None:
    edits_agree(*lines_pair(name, bounds, strip, empty), strings)


@cache
def pages(folder: Path, column: str) -> list[str]:
    """The beginnings of 300 real pages, evenly spaced."""
    table = pq.read_table(folder / "reference" / "heuristics.parquet", columns=[column])
    return [text[:3_000] for text in table[column].to_pylist()[:: table.num_rows // 300][:300]]


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name in ON_TEXT if name in reference.REFERENCE and name not in NEEDED])
def test_signals_on_real_pages(name: str, real: Path) -> None:
    strings = pages(real, "text")
    agree(SIGNALS[name], strings, twin_values(name, strings))


@pytest.mark.real
@pytest.mark.parametrize(("name", "parameters"), URL_CASES)
def test_url_phrases_on_real_pages(name: str, parameters: dict[str, Any], real: Path) -> None:
    urls = pages(real, "url")
    phrases = {"phrases": ("com", "www", "html", "http", "blog", "index", "a")}
    agree(SIGNALS[name].bind(**(parameters | phrases)), urls, twin_values(name, urls, **(parameters | phrases)))


@pytest.mark.real
@pytest.mark.parametrize(("name", "parameters"), EDIT_CASES)
def test_edits_on_real_pages(name: str, parameters: dict[str, Any], real: Path) -> None:
    edits_agree(*edit_pair(name, parameters), pages(real, "text"))


@pytest.mark.real
@pytest.mark.parametrize(("name", "bounds", "strip", "empty"), LINE_CASES)
def test_keep_lines_on_real_pages(name: str, bounds: dict[str, float], strip: bool, empty: bool, real: Path) -> None:
    edits_agree(*lines_pair(name, bounds, strip, empty), pages(real, "text"))
