"""Both rules against plain-Python twins, what counts as boilerplate, and what is written of the hits."""

import json
from collections import Counter
from math import log2

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import Item
from goldwash.pipeline.decontamination.matching import UNSEEN, Rule, needles_of, quotes_of
from goldwash.pipeline.decontamination.report import status
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.stages.decontaminate import Decontaminate
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.decontamination.test_index import normal_words

# --- twins


def runs_of(item: Item, rule: Rule) -> list[tuple[int, tuple[str, ...]]]:
    """Runs that are looked for: the first word in the item, and the words."""
    segments = [tuple(normal_words(text)) for text in (item.question, *item.options)]
    if rule.name == "dclm":
        question = segments[0]
        length = max(len(normal_words(item.last_sentence)), min(rule.min_words, len(question)))
        return [(max(0, len(question) - length), question[-length:])] if len(question) >= max(rule.min_words, 1) else []
    runs, first = [], 0
    for segment in segments:
        if len(segment) >= rule.ngram:
            runs += [(first + k, segment[k : k + rule.ngram]) for k in range(len(segment) - rule.ngram + 1)]
        elif len(segment) >= rule.min_words:
            runs.append((first, segment))
        first += len(segment)
    return runs


def holds(hay: tuple[str, ...], run: tuple[str, ...]) -> bool:
    return any(hay[k : k + len(run)] == run for k in range(len(hay) - len(run) + 1))


def before(question: tuple[str, ...], hay: tuple[str, ...], first: int, run: tuple[str, ...]) -> set[int]:
    """Words of the question that stand right before its run, wherever that stands."""
    found = set()
    for k in range(len(hay) - len(run) + 1):
        n = 0
        while hay[k : k + len(run)] == run and n < min(first, k) and question[first - 1 - n] == hay[k - 1 - n]:
            n += 1
            found.add(first - n)
    return found


def twin(texts: list[str], items: list[Item], rule: Rule) -> dict[tuple[int, int], tuple[frozenset[int], float]]:
    """By text and item: the item's words that the text has, and their share."""
    counts = Counter(word for item in items for text in (item.question, *item.options) for word in normal_words(text))
    total = sum(counts.values()) + UNSEEN
    out = {}
    for row, text in enumerate(texts):
        hay = tuple(normal_words(text))
        for number, item in enumerate(items):
            words, met = set(), False
            for first, run in runs_of(item, rule):
                if sum(log2(total / (counts[word] + 1)) for word in run) >= rule.min_information and holds(hay, run):
                    words |= set(range(first, first + len(run)))
                    if rule.name == "dclm":
                        words |= before(tuple(normal_words(item.question)), hay, first, run)
            first = len(normal_words(item.question))
            options = [tuple(normal_words(option)) for option in item.options]
            if words:
                found = set()
                for option in options:
                    if option and holds(hay, option):
                        met, found = True, found | set(range(first, first + len(option)))
                    first += len(option)
                words = words | found if met or not any(options) or rule.name == "ngram" else set()
            size = len(normal_words(item.question)) + sum(map(len, options))
            if words and (rule.name == "dclm" or len(words) / size >= rule.min_coverage):
                out[row, number] = frozenset(words), len(words) / size
    return out


def ours(texts: list[str], items: list[Item], rule: Rule) -> dict[tuple[int, int], tuple[frozenset[int], float]]:
    quotes = quotes_of(Texts.of(texts), needles_of(items, rule))
    assert all(len({q.item for q in of_row}) == len(of_row) for of_row in quotes.values())
    return {
        (row, quote.item): (frozenset(n for a, b in quote.words for n in range(a, b)), quote.coverage)
        for row, of_row in quotes.items()
        for quote in of_row
    }


WORD = st.sampled_from(["a", "A", "b", "c?", "c", "d.", "é", "É", "ß", "SS", "--", "金", "x:"])
PHRASE = st.lists(WORD, max_size=9).map(" ".join)
ITEM = st.builds(lambda q, o: Item("b", "s", 0, q, tuple(o)), PHRASE, st.lists(PHRASE, max_size=3))
RULE = st.builds(
    Rule, st.sampled_from(["dclm", "ngram"]), st.integers(1, 4), st.integers(2, 5), st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    st.sampled_from([0.0, 20.5, 45.5]),
)  # fmt: skip


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.lists(WORD, max_size=25).map(" ".join), max_size=3), st.lists(ITEM, min_size=1, max_size=4), RULE)
def test_what_is_quoted_is_what_the_twin_finds(texts, items, rule):
    texts = [*texts, *(f"x {item.question} y {' z '.join(item.options)}" for item in items)]  # so that much is found
    assert ours(texts, items, rule) == twin(texts, items, rule)


QUESTION = "Which of the following is true of the Wittelsbach Habsburg settlement of 1779 signed at Teschen in Silesia?"
NAMES = Item("b", "s", 0, QUESTION, ("Bavarian succession ended there that spring", "Nothing", "None of the above", "Both"))


def test_a_question_and_its_options_are_cut_apart():
    runs = runs_of(NAMES, Rule("ngram", ngram=13))
    assert len(needles_of([NAMES], Rule("ngram", ngram=13)).items) == len(runs) == 18 - 13 + 1 + 1


def found(text: str, **rule: object) -> list[float]:
    quotes = quotes_of(Texts.of([text]), needles_of([NAMES], Rule("ngram", **rule)))
    return [round(quote.coverage, 3) for quote in quotes.get(0, [])]


def test_coverage_is_the_share_of_the_items_words():
    words = len(normal_words(" ".join((NAMES.question, *NAMES.options))))
    assert found(QUESTION) == [round(18 / words, 3)]
    assert found(" ".join(QUESTION.split()[:13])) == [round(13 / words, 3)]
    assert found(QUESTION + " and Bavarian succession ended there that spring") == [round(24 / words, 3)]
    assert found(" ".join([QUESTION] * 3)) == [round(18 / words, 3)]  # however often
    assert found(QUESTION, min_coverage=0.7) == []
    assert found(QUESTION, min_coverage=18 / words) == [round(18 / words, 3)]
    assert found(" ".join(QUESTION.split()[:12])) == []


def test_information_is_high_for_names_and_low_for_phrases():
    plain = [Item("b", "s", n, "Which of the following is correct?", ("none of these things at all",)) for n in range(3000)]
    items = [*plain, NAMES]

    def searched(bits: float) -> set[int]:
        return set(needles_of(items, Rule("ngram", min_information=bits)).items.tolist())

    assert searched(0) == set(range(3001))
    assert searched(50) == {3000}  # six words of 4.4 bits each; the names have 15 to 16
    assert needles_of(items, Rule("ngram", min_information=50)).unsearched == 3000
    assert searched(10_000) == set()


def test_items_of_which_nothing_can_be_found():
    items = [
        Item("b", "s", n, q, o)
        for n, (q, o) in enumerate([("Why not?", ("Yes", "No")), ("?!", ()), ("", ("", "")), ("金", ())])
    ]
    assert needles_of(items, Rule("ngram")).unsearched == 4  # shorter than min_words
    assert needles_of(items, Rule("dclm")).unsearched == 4  # likewise
    assert needles_of(items, Rule("dclm", min_words=2)).unsearched == 3
    assert needles_of(items, Rule("dclm", min_words=1)).unsearched == 2  # no word in the question
    assert quotes_of(Texts.of(["Why not? Yes 金 ?!", ""]), needles_of(items, Rule("ngram"))) == {}
    assert set(ours(["Why not? Yes", "金"], items, Rule("dclm", min_words=1))) == {(0, 0), (1, 3)}
    assert quotes_of(Texts.of(["a"]), needles_of([], Rule("ngram"))) == {}


def test_items_that_are_the_same_are_each_found():
    quotes = ours([QUESTION], [NAMES, NAMES], Rule("ngram"))
    assert set(quotes) == {(0, 0), (0, 1)}


@pytest.mark.parametrize(
    ("question", "text", "sees"),
    [
        ("以下哪一种矿物会留在淘金盘的底部", "他问我:以下哪一种矿物会留在淘金盘的底部呢", True),  # a character is a word
        ("以下哪一种矿物会留在淘金盘的底部", "以下哪一种矿物会留在淘金盘", True),  # the first 13 of 16
        ("以下哪一种矿物会留在淘金盘的底部", "以下哪一种矿物会留在淘金", False),  # 12 of them
        ("コンピュータの本です", "これはコンピュータの本です。", True),  # a run of katakana is one word
        ("コンピュータの本です", "ミニコンピュータの本です", False),
        ("コンピュータの本です", "コンピュータの本です", True),  # half width
        ("ภาษาไทยดีมาก", "เขาว่าภาษาไทยดีมากนะ", True),  # Thai: a character and its marks
        ("Что такое золото на дне лотка", "ЧТО ТАКОЕ ЗОЛОТО, НА ДНЕ ЛОТКА?", True),
        ("ما هو الذهب في قاع المقلاة", "سأل: ما هو الذهب، في قاع المقلاة؟", True),
    ],
)
def test_other_scripts(question, text, sees):
    item = Item("b", "s", 0, question, ())
    assert bool(ours([text], [item], Rule("ngram", ngram=13))) == sees


# --- the stage

LAST = "Which mineral stays at the bottom of the pan when the muddy water is poured away again?"
BENDIGO = "What | did the old prospector\nof Bendigo find | in the creek near Ballarat that winter morning?"
BENCH = [
    {"question": LAST, "choices": ["Gold dust and the black sand", "Quartz"], "answer": 0},
    {"question": BENDIGO, "choices": ["A nugget"]},
    {"question": "Who wrote the long report about dredging on the Yukon river for the governor?", "choices": ["Nobody"]},
]  # fmt: skip


@pytest.fixture
def bench(tmp_path):
    path = tmp_path / "bench.jsonl"
    path.write_text("\n".join(map(json.dumps, BENCH)))
    return str(path)


def ran(tmp_path, bench, shards, run=here, name="out", urls=None, **parameters):
    inputs = []
    for n, texts in enumerate(shards):
        more = {"url": pa.array(urls, pa.string())} if urls else {}
        inputs.append(shard(tmp_path / name / f"in-{n}.parquet", texts, **more))
    stage = Decontaminate.of({"benchmarks": [bench], "rule": "ngram", **parameters})
    report = stage(inputs, str(tmp_path / name / "done"), run)
    return report, tmp_path / name / "done"


def told(folder):
    return json.loads((folder / "decontamination.json").read_text())


def hits(folder):
    return [row for file in sorted((folder / "hits").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


FOUR = LAST.split()[:13]
TEXTS = ["clean", f"So: {LAST} Who knows.", f"{' '.join(FOUR)} or not", f"Gold dust, and the black sand. {LAST}"]


def test_actions_with_ngrams(tmp_path, bench):
    report, folder = ran(tmp_path, bench, [TEXTS], name="drop")
    assert [row["text"] for row in rows(folder)] == ["clean"]
    assert [(row["value"], row["detail"]) for row in rows(folder, "dropped")] == [(1, "bench.jsonl/bench/0")] * 3
    assert report.notes == {"hits": 3}

    report, folder = ran(tmp_path, bench, [TEXTS], name="delete", action="delete")
    assert [row["text"] for row in rows(folder)] == ["clean", "So: ? Who knows.", " or not", "?"]
    assert report.edited["benchmark_strings"].documents == 3

    report, folder = ran(tmp_path, bench, [TEXTS], name="annotate", action="annotate")
    assert [row["text"] for row in rows(folder)] == TEXTS
    assert [row["benchmark_item_count"] for row in rows(folder)] == [0, 1, 1, 1]
    size = 17 + 6 + 1
    assert [row["benchmark_coverage"] for row in rows(folder)] == pytest.approx([0, 17 / size, 13 / size, 23 / size])
    assert len(hits(folder)) == 3


@pytest.mark.parametrize("rule", ["dclm", "ngram"])
@pytest.mark.parametrize("action", ["drop", "delete", "annotate"])
def test_all_actions_tell_the_same_hits(tmp_path, bench, rule, action):
    _, folder = ran(tmp_path, bench, [TEXTS], rule=rule, action=action)
    found = [(row["id"], row["item"]) for row in hits(folder)]
    assert found == ([("in-0-3", 0)] if rule == "dclm" else [("in-0-1", 0), ("in-0-2", 0), ("in-0-3", 0)])
    assert told(folder)["documents_with_a_hit"] == len(found)
    assert told(folder)["parameters"]["action"] == action


def test_boilerplate_is_counted_over_the_shards(tmp_path, bench):
    often = [f"{BENCH[2]['question']} {n}" for n in range(4)]
    texts = [*often, *TEXTS]
    outcomes = {}
    for most in (None, 2, 3, 4):
        for name, shards, run in (("1", [texts], here), ("2", [texts[:2] + texts[4:6], texts[2:4] + texts[6:]], local(2))):
            report, folder = ran(tmp_path, bench, shards, run, f"{most}-{name}", max_documents=most)
            outcomes[most, name] = report.kept.documents, sorted(row["text"] for row in rows(folder))
            facts = json.loads((folder / "report.json").read_text())["facts"]
            ignored = facts["needles_ignored_as_boilerplate"]
            assert (ignored > 0) == (most in (2, 3))
    for most in (None, 2, 3, 4):
        assert outcomes[most, "1"] == outcomes[most, "2"]
    assert [outcomes[most, "1"][0] for most in (None, 2, 3, 4)] == [1, 6, 5, 1]


def test_one_document_that_repeats_itself_is_one_document(tmp_path, bench):
    report, _ = ran(tmp_path, bench, [[f"{LAST} " * 50]], max_documents=1)
    assert report.kept.documents == 0


# --- the disclosure


@pytest.mark.parametrize(
    ("share", "name"), [(0, "clean"), (0.1999, "clean"), (0.2, "partly"), (0.7999, "partly"), (0.8, "dirty"), (1, "dirty")]
)
def test_llama_2s_bounds(share, name):
    assert status(share) == name


def test_words_of_several_documents_count_together(tmp_path, bench):
    halves = [" ".join(LAST.split()[:13]), " ".join(LAST.split()[4:]), "gold dust and the black sand"]
    _, folder = ran(tmp_path, bench, [halves[:1]], name="first")
    assert [(i["status"], round(i["coverage"], 3)) for i in told(folder)["items"]] == [("partly", round(13 / 24, 3))]
    _, folder = ran(tmp_path, bench, [halves[:1], halves[1:]], name="all")
    item = told(folder)["items"][0]
    assert (item["status"], round(item["coverage"], 3), item["documents"]) == ("dirty", round(23 / 24, 3), 3)
    assert [d["matched"] for d in item["in"]] == [halves[0], halves[1].rstrip("?"), halves[2]]
    assert told(folder)["benchmarks"] == {"bench.jsonl": {"items": 3, "clean": 2, "partly": 0, "dirty": 1, "hit": 1, "hits": 3}}


def rendered(markdown: str) -> tuple[list[list[str]], set[str]]:
    """The rows of the tables that start with an item, as a reader of Markdown shows them; and the kinds of markup in it."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    inline = [token for token in tokens if token.type == "inline"]
    kinds = {child.type for token in inline for child in token.children or ()} | {token.type for token in tokens}
    rows, row = [], None
    for token in tokens:
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            rows.append(row)
            row = None
        elif token.type == "inline" and row is not None:
            row.append("".join(child.content for child in token.children or ()))
    return [row for row in rows if row and row[0].startswith("bench.jsonl/bench/")], kinds


def test_hosts_and_cells(tmp_path, bench):
    question = BENCH[1]["question"]
    texts = [f"{question}\n| x | y |", f"{question} b", LAST, LAST + question]
    urls = ["https://www.a.example:80/x|y", "http://[malformed", "", "https://www.a.example/2"]
    _, folder = ran(tmp_path, bench, [texts], urls=urls)
    assert told(folder)["hosts"] == {"(no host)": 2, "www.a.example": 2}
    assert told(folder)["documents_with_a_hit"] == 4
    rows, kinds = rendered((folder / "decontamination.md").read_text())
    assert [len(row) for row in rows] == [5, 5]
    assert any("What | did the old prospector of Bendigo find | in the creek" in row[3] for row in rows)
    assert not kinds & {"link_open", "image", "html_inline", "html_block"}


def test_markup_in_data_is_shown_as_text(tmp_path):
    evil = (
        "<script>alert(1)</script> Which [pan](javascript:alert(2)) ![of](http://b.example/x.png) `these` *five* holds gold ?"
    )
    bench = tmp_path / "bench.jsonl"
    bench.write_text(json.dumps({"question": evil, "choices": ["<img src=x onerror=alert(3)>"]}) + "\n")
    url = "https://a.example/`|<script>[x](http://c.example)\x1b[31m"
    _, folder = ran(tmp_path, str(bench), [[f"{evil} <img src=x onerror=alert(3)>"]], urls=[url])
    markdown = (folder / "decontamination.md").read_text()
    rows, kinds = rendered(markdown)
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "em_open"}
    assert "<script>alert(1)</script> Which [pan](javascript:alert(2))" in rows[0][3]
    assert "\x1b" not in markdown


def test_a_document_without_a_url(tmp_path, bench):
    _, folder = ran(tmp_path, bench, [[LAST]], urls=[None])
    assert told(folder)["hosts"] == {"(no host)": 1}


def test_the_markdown_shows_item_and_document_side_by_side(tmp_path, bench):
    _, folder = ran(tmp_path, bench, [TEXTS])
    markdown = (folder / "decontamination.md").read_text()
    assert "Of 4 documents 3 quote one of 3 benchmark items (rule `ngram`, action `drop`)" in markdown
    assert ["bench.jsonl/bench/0 (dirty)", "96%", "3", LAST, f"{LAST[:-1]} (https://a.example/in-0-1)"] in rendered(markdown)[0]


def test_no_hit_at_all(tmp_path, bench):
    report, folder = ran(tmp_path, bench, [["clean", "", "?"]])
    assert report.notes == {}
    assert hits(folder) == []
    assert told(folder)["items"] == []
    assert told(folder)["documents_with_a_hit"] == 0
    assert "none was found" in (folder / "decontamination.md").read_text()


def test_explain_shows_the_words(tmp_path, bench):
    stage = Decontaminate.of({"benchmarks": [bench], "rule": "ngram"})
    (count, item) = stage.explain("", {"text": f"They ask: {LAST} Nobody knows."})
    assert count == ("benchmark_item_count", 1, "benchmark_item_count <= 0", False)
    assert item == ("  bench.jsonl/bench/0", "71%", f'passage: "{LAST[:-1]}"', False)
    assert stage.explain("", {"text": "clean"}) == [("benchmark_item_count", 0, "benchmark_item_count <= 0", True)]
