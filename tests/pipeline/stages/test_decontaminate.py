import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.errors import GoldwashError
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import Item, items_of
from goldwash.pipeline.decontamination.matching import quotes_of
from goldwash.pipeline.stages.decontaminate import Decontaminate, prepared
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import here, rows, shard

MINERAL = "A prospector swirls sand in a pan. Which mineral stays at the bottom when the water is poured away?"
ITEMS = [
    (MINERAL, ["Gold dust", "Quartz", "Mica flakes", "Feldspar"], "A"),
    ("A river bends twice. Why?", ["Because of the hills", "No reason", "Wind", "Chance"], "A"),
    ("Why not?", ["Seven reasons", "None", "Some", "Few"], "B"),
    ("以下哪一种矿物会留在淘金盘的底部？", ["黄金", "石英", "云母", "长石"], "A"),
]


@pytest.fixture
def benchmark(tmp_path):
    path = tmp_path / "geology_test.csv"
    lines = ["question,choice0,choice1,choice2,choice3,answer", *(",".join(f'"{v}"' for v in (q, *o, a)) for q, o, a in ITEMS)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def found_in(text: str, benchmark: str, **more: object) -> list[int]:
    items, needles = prepared(Decontaminate(benchmarks=(benchmark,), **more))
    quotes = quotes_of(Texts.of(["clean", text]), needles)
    assert 0 not in quotes
    return [items[quote.item].number for quote in quotes.get(1, [])]


LAST = "Which mineral stays at the bottom when the water is poured away?"
LONG = "word " * 5000


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (f"{MINERAL}\nA. Gold dust\nB. Quartz\n", [0]),
        (f"{LAST} Quartz", [0]),
        (f"{LAST} QUARTZ".upper(), [0]),
        (f"Mica flakes ... {LAST}", [0]),
        (LAST.replace(" ", "\n") + "\n\nmica\nflakes", [0]),
        ("which mineral, stays (at the bottom) when the water is poured away -- gold-dust!", [0]),
        (f"{LONG}{LAST} {LONG} quartz {LONG}", [0]),
        (LAST, []),  # no option
        (f"{LAST} gold and dust", []),
        (f"{LAST} quartzite", []),
        ("A prospector swirls sand in a pan. Quartz", []),  # not the last sentence
        (LAST.replace("water", "mud") + " quartz", []),
        ("A river bends twice. Why? Wind, they say.", [1]),
        ("Why? Wind, they say.", []),  # one word is no sentence to go by
        ("Twice. Why? Wind", []),
        ("Why not? Seven reasons", []),  # the whole question has two words
        ("Why, not one of them, seven reasons", []),
        ("以下哪一种矿物会留在淘金盘的底部？答案是黄金。", [3]),
        ("我问：以下哪一种矿物会留在淘金盘的底部？", []),
        (f"{MINERAL} Quartz. A river bends twice. Why? Wind.", [0, 1]),
    ],
)
def test_quotes_are_found_however_they_are_set(benchmark, text, numbers):
    assert found_in(text, benchmark) == numbers


def test_min_words_lengthens_short_sentences(benchmark):
    assert found_in("Twice. Why? Wind", benchmark, min_words=2) == [1]
    assert found_in("Why? Wind", benchmark, min_words=1) == [1]
    assert found_in("Why not? Seven reasons", benchmark, min_words=2) == [2]
    assert found_in(f"{LAST} quartz", benchmark, min_words=13) == []
    assert found_in(f"pan. {LAST} quartz", benchmark, min_words=13) == [0]


@pytest.mark.parametrize("options", [[], [""], ["", " "]])
def test_a_question_without_options_needs_its_sentence_alone(tmp_path, options):
    path = tmp_path / "open.jsonl"
    path.write_text(json.dumps({"question": MINERAL, "choices": options}))
    assert found_in(f"so: {LAST}", str(path)) == [0]


# --- what is done with them


def stage_on(tmp_path, benchmark, texts, **parameters):
    inputs = [shard(tmp_path / "in.parquet", texts)]
    report = Decontaminate.of({"benchmarks": [benchmark], **parameters})(inputs, str(tmp_path / "out"), here)
    return report, rows(tmp_path / "out"), rows(tmp_path / "out", "dropped")


QUOTED = ["clean", f"Before. {LAST} It is quartz, or gold dust. After.", f"{MINERAL} Quartz. A river bends twice. Why? Wind."]


def test_drop(tmp_path, benchmark):
    report, kept, dropped = stage_on(tmp_path, benchmark, QUOTED)
    assert [row["text"] for row in kept] == ["clean"]
    assert [(row["dropped_by"], row["value"], row["detail"]) for row in dropped] == [
        ("benchmark_item_count", 1, "geology_test.csv/geology/0"),
        ("benchmark_item_count", 2, "geology_test.csv/geology/0; geology_test.csv/geology/1"),
    ]
    assert report.notes == {"hits": 3}


def test_delete(tmp_path, benchmark):
    report, kept, dropped = stage_on(tmp_path, benchmark, QUOTED, action="delete")
    assert dropped == []
    assert [row["text"] for row in kept] == [
        "clean",
        "Before. ? It is , or . After.",
        "A prospector swirls sand in a pan. . .",  # what stands between two of them goes, too
    ]
    assert report.edited["benchmark_strings"].documents == 2


def test_annotate(tmp_path, benchmark):
    _, kept, dropped = stage_on(tmp_path, benchmark, QUOTED, action="annotate")
    assert dropped == []
    assert [row["text"] for row in kept] == QUOTED
    assert [row["benchmark_item_count"] for row in kept] == [0, 1, 2]


def test_no_benchmark_finds_nothing(tmp_path):
    inputs = [shard(tmp_path / "in.parquet", QUOTED)]
    assert Decontaminate(benchmarks=())(inputs, str(tmp_path / "out"), here).kept.documents == 3


# --- how benchmarks are read

QUESTION = ("Which one?", ("a", "b", "c", "d"))


def written(folder, name):
    path = folder / name
    row = {"question": QUESTION[0], "choices": list(QUESTION[1]), "answer": 0}
    match name.rpartition("_")[2]:
        case "headless.csv":
            path.write_text("Which one?,a,b,c,d,A\n")
        case "header.csv":
            path.write_text("question,choice0,choice1,choice2,choice3,answer\nWhich one?,a,b,c,d,0\n")
        case "rows.jsonl":
            path.write_text(json.dumps(row) + "\n\n" + json.dumps({**row, "subject": "other"}) + "\n")
        case "table.parquet":
            pq.write_table(pa.table({key: [value] for key, value in row.items()}), path)
    return path


@pytest.mark.parametrize("name", ["headless.csv", "header.csv", "rows.jsonl", "table.parquet"])
def test_benchmarks_are_read_from_each_form(tmp_path, name):
    items = items_of(str(written(tmp_path, name)))
    assert {(item.question, item.options) for item in items} == {QUESTION}
    assert [item.number for item in items] == list(range(len(items)))
    assert {item.benchmark for item in items} == {name}


def test_a_folder_is_read_file_by_file_in_order_and_by_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "mmlu" / "test"
    folder.mkdir(parents=True)
    for name in ("b_test.csv", "a_test.csv"):
        (folder / name).write_text("Which one?,a,b,c,d,A\n")
    assert [item.name for item in items_of(str(tmp_path / "mmlu"))] == ["mmlu/a/0", "mmlu/b/0"]
    monkeypatch.setenv("GOLDWASH_BENCHMARKS", str(tmp_path))
    assert len(items_of("mmlu")) == 2


@pytest.mark.real
def test_mmlu_is_read(real):
    items = items_of(str(real / "mmlu"))
    assert len(items) > 1000
    assert all(item.question.strip() and len(item.options) == 4 for item in items)
    assert len({item.subject for item in items if not item.subject.endswith("_dev")}) == 10
    assert len({item.name for item in items}) == len(items)


def test_the_built_in_questions():
    assert len(items_of("sample")) >= 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "one,two\n", "line 1: expected question, four options and a letter, found 2 columns"),
        ("a.csv", "a,b,c,d,e,A\nonly one\n", "line 2: .*found 1 columns"),
        ("a.jsonl", '{"txt": "x"}\n', r"a\.jsonl, row 0: found columns txt; expected `question`"),
        ("a.jsonl", '{"question": \n', r"a\.jsonl cannot be read"),
        ("a.jsonl", '["a"]\n', r"a\.jsonl"),
        ("a.parquet", "no parquet", r"a\.parquet cannot be read"),
        ("a.csv", b"\xff\xfe\xff", r"a\.csv cannot be read"),
    ],
)
def test_files_that_are_no_benchmark(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        items_of(str(tmp_path / name))


def test_a_benchmark_that_is_not_there_tells_the_cure(tmp_path):
    with pytest.raises(
        DataError, match=r"benchmark mmlux: no file or folder .*--set decontaminate\.benchmarks=.*--skip decontaminate"
    ):
        items_of("mmlux")
    with pytest.raises(DataError, match="no file or folder"):
        items_of(str(tmp_path))


@pytest.mark.parametrize(
    ("question", "last"),
    [
        ("One. Two three?", "Two three?"),
        ("One only", "One only"),
        ("A:\nB", "B"),
        ("Is it 3.5 or 4?", "Is it 3.5 or 4?"),
        ("", ""),
        ("Yes! ...", "Yes!"),
    ],
)
def test_the_last_sentence(question, last):
    assert Item("b", "s", 0, question, ()).last_sentence == last


def test_neighbours_of_one_id_are_two_documents_in_the_disclosure(tmp_path, benchmark):
    inputs = [shard(tmp_path / "in.parquet", [f"{LAST} Quartz", f"{LAST} Quartz"], id=["same", "same"])]
    Decontaminate.of({"benchmarks": [benchmark]})(inputs, str(tmp_path / "out"), here)
    told = json.loads((tmp_path / "out" / "decontamination.json").read_text())
    assert told["documents_with_a_hit"] == 2
    assert sum(told["hosts"].values()) == 2


def test_the_crawl_is_only_counted_where_boilerplate_is_asked_for(tmp_path, benchmark):
    stage_on(tmp_path / "a", benchmark, QUOTED)
    stage_on(tmp_path / "b", benchmark, QUOTED, max_documents=1)
    assert [list((tmp_path / name / "out" / "tasks").glob("count-*")) != [] for name in "ab"] == [False, True]


@pytest.mark.parametrize(
    "name", ["hits/part-00000.parquet", "tasks/part-00000.json", "tasks/count-00000.json", "boilerplate.json"]
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_bit_that_flips_between_the_passes_is_noticed_or_without_effect(tmp_path, benchmark, name, share):
    inputs = [shard(tmp_path / "in.parquet", QUOTED)]
    stage = Decontaminate.of({"benchmarks": [benchmark], "max_documents": 2})
    stage(inputs, str(tmp_path / "whole"), here)
    wanted = json.loads((tmp_path / "whole" / "decontamination.json").read_text())

    def flipping(work, tasks):
        if name == "boilerplate.json" and (tmp_path / "out" / name).exists():
            flip(tmp_path / "out" / name, share)
        report = here(work, tasks)
        if any(
            name == f"{folder}/{task.name}.{ending}"
            for task in tasks
            for folder, ending in (("tasks", "json"), ("hits", "parquet"))
        ):
            flip(tmp_path / "out" / name, share)
        return report

    try:
        stage(inputs, str(tmp_path / "out"), flipping)
    except GoldwashError:  # its cure is to run again
        stage(inputs, str(tmp_path / "out"), here)
    assert json.loads((tmp_path / "out" / "decontamination.json").read_text()) == wanted
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")


def flip(path, share):
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 1
    path.write_bytes(data)
