"""One row of a benchmark as a question and its options, in the shapes in which benchmarks are published.

Invariants:

* Text is text: a string, a number, a chat's user messages, or an object that names its text. Anything else raises `ShapeError`;
  Python's repr of an object never becomes a question or an option.
* A row whose answer points to an option (a letter, a label) must have options.
* Column names are compared in lower case.

Shapes are those of the files of: MMLU, MMLU-Pro, ARC, OpenBookQA, CommonsenseQA, HellaSwag, PIQA, SIQA, WinoGrande, COPA,
BoolQ, GSM8K, TriviaQA, SQuAD, RACE, SciQ, QASC, MedQA, MedMCQA, TruthfulQA, GPQA, HumanEval, BIG-bench, and of the formats of
lm-evaluation-harness and llm-foundry.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

QUESTIONS = (
    "question", "question_stem", "query", "ctx", "prompt", "goal", "problem", "sentence", "premise", "context", "input",
    "inputs", "instruction", "text",
)  # fmt: skip
"""Columns that hold the question, the first that is not empty."""

OPTIONS = (
    "choices", "endings", "options", "context_options", "mc1_targets", "multiple_choice_targets", "target_scores", "answers",
)  # fmt: skip
"""Columns that hold all options."""

RIGHT = ("correct_answer", "correct answer", "best_answer", "correct_answers")
WRONG = re.compile(r"(distractor|incorrect[ _]answer)[ _]?\d+|incorrect_answers")
"""Columns of right and of wrong answers, which together are the options (SciQ, GPQA, TruthfulQA)."""

NUMBERED = re.compile(r"(choice|option|sol|ending|answer|ans|op|sentence_quiz|)[ _]?(\d{1,2}|[a-j])")
"""Columns of one option each: ``choice0``, ``sol1``, ``option_a``, ``opa``, ``A``."""

ANSWERS = ("answer", "gold", "label", "answerkey", "answer_idx", "target", "cop", "correct", "ans")
"""Columns that say which option is right."""

POINTERS = ("label", "gold", "answer_idx", "cop")
"""Those of `ANSWERS` in which a number always points to an option; elsewhere it may be the answer itself."""

TEXTS = ("stem", "text", "content", "value", "question", "para", "answer", "option")
"""Keys under which an object holds its text: AI2's ``stem``, ``{label, text}``, a message's ``content``."""

UNLABELLED = -1
"""What the Hugging Face hub writes where a split's answers are not published."""


class ShapeError(ValueError):
    """A row in which no question, or no text where one was expected, was found; the message says what was found."""


def question_of(row: Mapping[str, Any], one_based: bool = False) -> tuple[str, tuple[str, ...]]:
    """The question and the options of a row; blank options are left out, and there are none for an open question.

    ``one_based``: the file's answers are numbers that begin with 1.
    """
    columns = columns_of(tuple(row))
    key = next((columns[name] for name in QUESTIONS if name in columns and not _blank(row[columns[name]])), None)
    if key is None:
        raise ShapeError(f"found columns {', '.join(map(str, row))}; expected `question` (or {', '.join(QUESTIONS[1:])})")
    question = text_of(row[key], key)
    options, from_one = _options(row, columns, key)
    _check_answer(row, options, one_based or from_one)
    return question, tuple(option for option in options if option.strip())


@lru_cache
def columns_of(keys: tuple[Any, ...]) -> Mapping[str, Any]:
    """A row's keys by their names in lower case; of two with one name, the last."""
    return {str(key).strip().lower(): key for key in keys}


def named(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The question in the first of these columns, and options in the others."""
    for column in columns:
        if column not in row:
            raise ShapeError(f"no column {column!r}; it has {', '.join(map(str, row))}")
    question = text_of(row[columns[0]], columns[0])
    if not question.strip():
        raise ShapeError(f"the column {columns[0]!r} is empty")
    return question, tuple(o for c in columns[1:] for o in options_in(row[c], c) if o.strip())


def text_of(value: Any, column: object) -> str:
    """A value as text; `''` for None. Raises `ShapeError` for what is no text."""
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Mapping):
        for name in TEXTS:
            if isinstance(value.get(name), str | list):
                return text_of(value[name], f"{column}.{name}")
    elif isinstance(value, list | tuple) and value and all(isinstance(part, Mapping) for part in value):
        return _conversation(value, column)
    raise ShapeError(f"column {column!r}: expected text, found {_described(value)}")


def _conversation(parts: Sequence[Mapping[str, Any]], column: object) -> str:
    """What the user says in a chat, or the text among the parts of one message."""
    if all("type" in part for part in parts):
        return "\n".join(text_of(part, column) for part in parts if part["type"] == "text")
    if not all("role" in part or "from" in part for part in parts):
        raise ShapeError(f"column {column!r}: expected text, found {_described(parts)}")
    asked = [part for part in parts if str(part.get("role", part.get("from"))).lower() in ("user", "human")]
    return "\n".join(text_of(part, column) for part in asked or parts)


def options_in(value: Any, column: object) -> list[str]:
    """The options in a value: a list, ``{text: [...], label: [...]}``, ``{A: ..., B: ...}``, scores by option, or one text."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return _options_in_object(value, column)
    if isinstance(value, list | tuple):
        return [text_of(part, column) for part in value]
    text = text_of(value, column)
    if re.fullmatch(r"\s*[\[{].*[\]}]\s*", text, re.DOTALL):
        raise ShapeError(f"column {column!r}: expected options, found a list or an object written as text: {text[:60]!r}")
    return [text]


def _options_in_object(value: Mapping[str, Any], column: object) -> list[str]:
    for name in ("text", "choices", "options", "input_text"):
        if isinstance(value.get(name), list | tuple):
            return [text_of(part, f"{column}.{name}") for part in value[name]]
    if value and all(isinstance(score, int | float) for score in value.values()):
        return [str(option) for option in value]  # BIG-bench: a score for each option
    keys = [str(key) for key in value]
    if value and all(re.fullmatch(r"[A-Za-z]|\d{1,2}", key) for key in keys):
        return [text_of(value[key], f"{column}.{key}") for key in sorted(value, key=lambda k: (len(str(k)), str(k)))]
    raise ShapeError(f"column {column!r}: expected options, found {_described(value)}")


def _options(row: Mapping[str, Any], columns: Mapping[str, Any], question: Any) -> tuple[list[str], bool]:
    """The options, and whether their numbers begin with 1."""
    for name in OPTIONS:
        if name in columns and columns[name] != question and not _blank(row[columns[name]]):
            return options_in(row[columns[name]], columns[name]), False
    inside = row[question]
    if isinstance(inside, Mapping) and not _blank(inside.get("choices")):  # AI2's {"question": {"stem": ..., "choices": ...}}
        return options_in(inside["choices"], f"{question}.choices"), False
    wrong = [key for name, key in columns.items() if WRONG.fullmatch(name)]
    if wrong:
        right = [columns[name] for name in RIGHT if name in columns]
        return list(dict.fromkeys(o for key in (*right, *wrong) for o in options_in(row[key], key))), False
    return _numbered(row, columns)


def _numbered(row: Mapping[str, Any], columns: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Options in columns of one each."""
    chosen, one_based = numbered_columns(tuple(columns))
    return [text_of(row[columns[name]], columns[name]) for name in chosen], one_based


@lru_cache
def numbered_columns(names: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Columns of one option each: of those of one stem that count on from 0, 1 or A, the most."""
    stems: dict[str, dict[int, str]] = {}
    for name in names:
        if found := NUMBERED.fullmatch(name):
            number = int(found[2]) if found[2].isdigit() else ord(found[2]) - ord("a")
            stems.setdefault(found[1] + ("0" if found[2].isdigit() else "a"), {})[number] = name
    best: tuple[str, ...] = ()
    one_based = False
    for stem, numbers in stems.items():
        first = min(numbers)
        run = list(range(first, first + len(numbers)))
        if stem != "0" and first in (0, 1) and sorted(numbers) == run and len(run) >= 2 and len(run) > len(best):
            best = tuple(numbers[n] for n in run)
            one_based = first == 1 or stem.endswith("a")  # SIQA numbers answerA to answerC from 1
    return best, one_based


def answer_of(row: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The column that says which option is right, and its value; None where there is none."""
    columns = columns_of(tuple(row))
    found = next((columns[name] for name in ANSWERS if name in columns and not _blank(row[columns[name]])), None)
    return None if found is None else (found, row[found])


def place_of(answer: Any) -> int | None:
    """The number of the option that an answer points to, from its number or letter; None for an answer in words."""
    text = str(answer).strip() if isinstance(answer, str | int | float) and not isinstance(answer, bool) else ""
    if re.fullmatch(r"-?\d{1,2}(\.0)?", text):
        return int(float(text))
    return ord(text.upper()) - ord("A") if re.fullmatch(r"[A-Za-z]", text) else None


def _check_answer(row: Mapping[str, Any], options: Sequence[str], one_based: bool) -> None:
    """Refuse an answer that points to an option that was not found: the options were not understood."""
    column, answer = answer_of(row) or ("", None)
    name, place, text = str(column).strip().lower(), place_of(answer), str(answer).strip()
    if place is None or place == UNLABELLED:
        return
    if not options:
        if re.fullmatch("[A-J]", text) or name in POINTERS:
            there = ", ".join(map(str, row))
            raise ShapeError(
                f"{column!r} says that option {text} is right, but no options were found among the columns {there}"
            )
        return
    most = len(options) + (one_based and not text.isalpha())
    if text not in options and name != "answerkey" and not 0 <= place < most:
        raise ShapeError(f"the answer is {text}, and there are {len(options)} options")


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, list | dict) and not value)


def _described(value: Any) -> str:
    """A value in words, for a message."""
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(repr, list(value)[:6])) or 'nothing in it'}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" + (f" that begins with {_described(value[0])}" if value else "")
    return "bytes" if isinstance(value, bytes) else f"a {type(value).__name__}"
