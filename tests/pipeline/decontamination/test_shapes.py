# ruff: noqa: E501 -- tables
"""Rows in the shapes in which benchmarks are published, and what is refused."""

import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.decontamination.benchmarks import items_of
from goldwash.pipeline.decontamination.shapes import ShapeError, question_of
from goldwash.pipeline.storage.failures import DataError

Q, AB, ABCD = "Which pan?", ("tin", "iron"), ("tin", "iron", "clay", "none of them")
LETTERED = [{"label": letter, "text": text} for letter, text in zip("ABCD", ABCD, strict=True)]

SHAPES = {
    "AI2's ARC": ({"id": "1", "question": {"stem": Q, "choices": LETTERED}, "answerKey": "B"}, ABCD),
    "OpenBookQA on the hub": ({"question_stem": Q, "choices": {"text": list(ABCD), "label": list("ABCD")}, "answerKey": "D"}, ABCD),
    "CommonsenseQA": ({"question": {"stem": Q, "question_concept": "pan", "choices": LETTERED}, "answerKey": "A"}, ABCD),
    "choices as objects": ({"question": Q, "choices": LETTERED, "answer": 1}, ABCD),
    "MedQA": ({"question": Q, "options": dict(zip("ABCD", ABCD, strict=True)), "answer_idx": "B", "answer": "iron"}, ABCD),
    "MedQA in another order": ({"question": Q, "options": {"B": "iron", "A": "tin"}, "answer_idx": "B"}, AB),
    "MedQA as a list": ({"question": Q, "options": [{"key": "A", "value": "tin"}, {"key": "B", "value": "iron"}], "answer_idx": "A"}, AB),
    "columns A to D": ({"question": Q, **dict(zip("ABCD", ABCD, strict=True)), "answer": "C"}, ABCD),
    "input, A to D, target": ({"input": Q, **dict(zip("ABCD", ABCD, strict=True)), "target": "C"}, ABCD),
    "small letters": ({"question": Q, "a": "tin", "b": "iron", "answer": "b"}, AB),
    "MedMCQA": ({"question": Q, "opa": "tin", "opb": "iron", "opc": "clay", "opd": "none of them", "cop": 3}, ABCD),
    "SIQA": ({"context": "A fire.", "question": Q, "answerA": "tin", "answerB": "iron", "answerC": "clay", "label": "3"}, ABCD[:3]),
    "PIQA, unlabelled": ({"goal": Q, "sol1": "tin", "sol2": "iron", "label": -1}, AB),
    "COPA": ({"premise": Q, "choice1": "tin", "choice2": "iron", "question": "", "label": 1}, AB),
    "WinoGrande": ({"sentence": Q, "option1": "tin", "option2": "iron", "answer": "2"}, AB),
    "WinoGrande, unlabelled": ({"sentence": Q, "option1": "tin", "option2": "iron", "answer": ""}, AB),
    "HellaSwag, unlabelled": ({"ctx": Q, "ctx_a": "Which", "ctx_b": "pan?", "endings": list(AB), "label": ""}, AB),
    "RACE": ({"article": "Long.", "question": Q, "options": list(ABCD), "answer": "D"}, ABCD),
    "SciQ": ({"question": Q, "distractor1": "iron", "distractor2": "clay", "correct_answer": "tin", "support": "x"}, ABCD[:3]),
    "GPQA": ({"Question": Q, "Correct Answer": "tin", "Incorrect Answer 1": "iron", "Incorrect Answer 2": "clay"}, ABCD[:3]),
    "TruthfulQA, multiple choice": ({"question": Q, "mc1_targets": {"choices": list(AB), "labels": [1, 0]}, "mc2_targets": {"choices": list(AB), "labels": [1, 0]}}, AB),
    "TruthfulQA, generation": ({"question": Q, "best_answer": "tin", "correct_answers": ["tin"], "incorrect_answers": ["iron"]}, AB),
    "SQuAD": ({"context": "Tin it is.", "question": Q, "answers": {"text": ["tin", "iron"], "answer_start": [0, 1]}}, AB),
    "SQuAD, unanswerable": ({"question": Q, "answers": {"text": [], "answer_start": []}}, ()),
    "BIG-bench": ({"input": Q, "target_scores": {"tin": 0, "iron": 1}}, AB),
    "BIG-bench on the hub": ({"inputs": Q, "targets": ["iron"], "multiple_choice_targets": list(AB)}, AB),
    "chat messages": ({"prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": Q}], "choices": list(AB)}, AB),
    "a message in parts": ({"prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": Q}]}], "choices": list(AB)}, AB),
    "ShareGPT": ({"prompt": [{"from": "human", "value": Q}, {"from": "gpt", "value": "iron"}]}, ()),
    "HumanEval": ({"task_id": "1", "prompt": Q, "canonical_solution": "x", "test": "y", "entry_point": "f"}, ()),
    "AIME": ({"problem": Q, "answer": 204}, ()),
    "numbers as options": ({"question": Q, "choices": [3, 4.5], "answer": 0}, ("3", "4.5")),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_published_shapes(shape):
    row, options = SHAPES[shape]
    assert question_of(row) == (Q, options)


@pytest.mark.parametrize(
    "shape", ["AI2's ARC", "choices as objects", "MedQA", "SQuAD", "TruthfulQA, multiple choice", "chat messages"]
)
def test_shapes_in_parquet(shape, tmp_path):
    row, options = SHAPES[shape]
    pq.write_table(pa.Table.from_pylist([row, row]), tmp_path / "a.parquet")
    assert [(item.question, item.options) for item in items_of(str(tmp_path / "a.parquet"))] == [(Q, options)] * 2


REFUSED = [
    ({"question": ["Which", "pan?"]}, "column 'question': expected text, found a list of 2 that begins with a str"),
    ({"question": {"en": Q, "de": Q}}, "column 'question': expected text, found an object with 'en', 'de'"),
    ({"question": b"Which pan?"}, "column 'question': expected text, found bytes"),
    ({"question": Q, "choices": [["tin", 1]]}, "column 'choices': expected text, found a list of 2"),
    ({"question": Q, "choices": {"first": ["tin"], "second": ["iron"]}}, "column 'choices': expected options, found an object with 'first', 'second'"),
    ({"question": Q, "choices": "['tin', 'iron']"}, "column 'choices': expected options, found a list or an object written as text"),
    ({"question": Q, "answer": "B", "candidates": ["tin", "iron"]}, "'answer' says that option B is right, but no options were found among the columns question, answer, candidates"),
    ({"sentence": Q, "label": 1}, "'label' says that option 1 is right, but no options were found"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "message"), REFUSED)
def test_what_is_not_understood_is_refused_by_name(row, message, tmp_path):
    with pytest.raises(ShapeError, match=message.replace("[", r"\[")):
        question_of(row)
    if b"Which pan?" not in row.values():
        (tmp_path / "a.jsonl").write_text(json.dumps({"question": "Fine?"}) + "\n" + json.dumps(row))
        with pytest.raises(DataError, match=r"a\.jsonl, row 1: .* other columns are named as .*a\.jsonl::QUESTION,OPTION"):
            items_of(str(tmp_path / "a.jsonl"))


def test_answers_that_begin_with_one(tmp_path):
    rows = [{"question": Q, "choices": list(AB), "answer": n} for n in (1, 2)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(items_of(str(tmp_path / "a.jsonl"))) == 2
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, [*rows, {**rows[0], "answer": 0}])))
    with pytest.raises(DataError, match="row 1: the answer is 2, and there are 2 options"):
        items_of(str(tmp_path / "a.jsonl"))


# --- files


def hub(folder, **splits):
    folder.mkdir(parents=True)
    for split, questions in splits.items():
        table = {
            "question": questions,
            "subject": ["law"] * len(questions),
            "choices": [list(AB)] * len(questions),
            "answer": [0] * len(questions),
        }
        pq.write_table(pa.table(table), folder / f"{split}-00000-of-00001.parquet")


def test_a_clone_of_the_hubs_folder_counts_once(tmp_path):
    for config in ("all", "law"):
        hub(tmp_path / "mmlu" / config, test=["Q1?", "Q2?", "Q1?"], dev=["Q3?"], validation=["Q4?"], auxiliary_train=["Q5?"])
    (tmp_path / "mmlu" / ".cache").mkdir()
    (tmp_path / "mmlu" / ".cache" / "x.jsonl").write_text("no benchmark")
    names = [(item.name, item.question) for item in items_of(str(tmp_path / "mmlu"))]
    assert sorted(names) == [
        ("mmlu/law/0", "Q1?"), ("mmlu/law/1", "Q2?"), ("mmlu/law/2", "Q1?"), ("mmlu/law_dev/0", "Q3?"), ("mmlu/law_validation/0", "Q4?")
    ]  # fmt: skip


def test_a_folder_of_training_splits_alone_is_read(tmp_path):
    hub(tmp_path / "own", train=["Q1?"])
    assert len(items_of(str(tmp_path / "own"))) == 1


def test_shards_and_folders_of_one_name_have_items_of_their_own_names(tmp_path):
    for part, question in (("a/quiz.jsonl", "Q1?"), ("b/quiz.jsonl", "Q2?"), ("c/quiz.jsonl", "Q3?")):
        (tmp_path / "x" / part).parent.mkdir(parents=True)
        (tmp_path / "x" / part).write_text(json.dumps({"question": question}))
    assert [item.name for item in items_of(str(tmp_path / "x"))] == ["x/quiz/0", "x/quiz/1", "x/quiz/2"]


def test_csv_as_spreadsheets_write_it(tmp_path):
    path, limit = tmp_path / "a.csv", csv.field_size_limit()
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["Question", " A", "B", "answer", "passage"], [Q, *AB, "B", "word " * 40_000]])
    assert [(item.question, item.options) for item in items_of(str(path))] == [(Q, AB)]
    assert csv.field_size_limit() == limit
    (tmp_path / "a.tsv").write_text(f"question\tA\tB\n{Q}\ttin\tiron\n")
    assert items_of(str(tmp_path / "a.tsv"))[0].options == AB
    path.write_text(f"question,A,B\n{Q},tin\n")
    with pytest.raises(DataError, match=r"a\.csv, record 2: expected 3 fields as in its header, found 2"):
        items_of(str(path))


def test_json_documents_and_what_is_behind_an_ending(tmp_path):
    row = {"question": Q, "answers": [{"text": "tin", "answer_start": 0}]}
    for name, document in (
        ("squad.json", {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "c", "qas": [row, row]}]}]}),
        ("list.json", [row, row]), ("examples.json", {"examples": [row, row]}), ("quiz.json?download=true", [row, row]),
    ):  # fmt: skip
        (tmp_path / name).write_text(json.dumps(document))
        assert [item.options for item in items_of(str(tmp_path / name))] == [("tin",)] * 2
    (tmp_path / "lines.json").write_text(f"{json.dumps(row)}\n{json.dumps(row)}\n")
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(row).encode()))
    assert [len(items_of(str(tmp_path / name))) for name in ("lines.json", "lines.jsonl.gz")] == [2, 1]
    (tmp_path / "quiz.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"quiz\.xlsx: expected one of \.csv, .*; found \.xlsx"):
        items_of(str(tmp_path / "quiz.xlsx"))
