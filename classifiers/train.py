"""Train a quality classifier on labelled examples, and report honestly how good it is.

Invariants:

- Training is deterministic: the sample, the split and the single training thread depend only on the seed and the examples.
  (With more ``threads``, races within fastText decide.)
- Each class takes equally many examples from every source, as far as the sources have them.
- A held-out example is neither in the training set nor a near copy of a training example.
- All files of a training appear together after the last one is complete. A full disk leaves the folder as it was.

Defaults are DCLM's (arXiv 2406.11794, sections 4.4 and J.1): fastText's own, with word bigrams, and 200,000 examples per class.
"""

import hashlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import fasttext
import numpy as np
import numpy.typing as npt

from goldwash.classifiers.diagnosis import diagnose
from goldwash.classifiers.evaluation import Scoring, auc, evaluate
from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.fasttext import PREFIX, fold, save_fold
from goldwash.classifiers.model_card import model_card
from goldwash.classifiers.model_file import LONGEST_NGRAM, ModelError, Reader
from goldwash.filters.ngrams import lowered_hashes, run_hashes
from goldwash.filters.texts import Texts

POSITIVE, NEGATIVE = "hq", "cc"

RUN, COPIED = 8, 0.5
"""A held-out example is a near copy if at least half of its runs of eight words occur in the training examples."""

MOST_RUNS = 50_000_000
"""The most runs of training words that are kept for finding copies: 400 MB. Beyond that, every second, fourth ... by hash."""

TRIED = 1000
"""Training examples that are scored to find out why a classifier does not work."""

EXCLUDED = 1000
"""Texts that ``exclude`` is asked about at once."""

TYPES: Mapping[type, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
}
"""For the type of a setting's default: the types that it may have, and their name in messages."""

Exclude = Callable[[Texts], npt.NDArray[np.bool_]]

FILES = ("model.bin", "model.fold", "report.json", "MODEL.md")
"""What `train` writes."""


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained and evaluated; the defaults are the reference's."""

    lr: float = 0.1
    dim: int = 100
    epoch: int = 5
    word_ngrams: int = 2
    min_count: int = 1
    bucket: int = 2_000_000
    threads: int = 1
    held_out: float = 0.1
    per_class: int = 200_000
    balanced: bool = False
    fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("dim", "epoch", "word_ngrams", "min_count", "bucket", "threads", "per_class"):
            if getattr(self, name) < 1:  # fastText divides by some of them
                raise TrainingError(f"{name} is {getattr(self, name)}; expected 1 or more")
            if getattr(self, name) >= 1 << 31:  # fastText's numbers have 32 bits
                raise TrainingError(f"{name} is {getattr(self, name)}; expected less than 2 to the 31st")
        if self.word_ngrams > LONGEST_NGRAM:
            raise TrainingError(f"word_ngrams is {self.word_ngrams}; expected at most {LONGEST_NGRAM}")
        if not self.lr > 0:
            raise TrainingError(f"lr is {self.lr}; expected more than 0")
        check_shares(self)
        if not 0 <= self.seed < 1 << 31:
            raise TrainingError(f"seed is {self.seed}; expected 0 or more, and less than 2 to the 31st")


def check_types(settings: Any) -> None:
    """Raise `TrainingError` for a setting of another type than its default; ``settings``: a dataclass."""
    for field in fields(settings):
        kind, value = type(field.default), getattr(settings, field.name)
        types, expected = TYPES[kind]
        if not isinstance(value, types) or isinstance(value, bool) != (kind is bool):
            raise TrainingError(f"{field.name} is {value!r}; expected {expected}")


def check_least(settings: Any, least: int, *names: str) -> None:
    """Raise `TrainingError` for whole numbers of these names below ``least``."""
    for name in names:
        if getattr(settings, name) < least:
            raise TrainingError(f"{name} is {getattr(settings, name)}; expected a whole number of {least} or more")


def check_shares(settings: Any) -> None:
    """Raise `TrainingError` for a ``held_out`` outside [0, 1), and for a ``fraction``, where there is one, outside (0, 1]."""
    if not 0 <= settings.held_out < 1:
        raise TrainingError(f"held_out is {settings.held_out}; expected a share from 0 to less than 1")
    if not 0 < getattr(settings, "fraction", 1) <= 1:
        raise TrainingError(f"fraction is {settings.fraction}; expected a number above 0 and up to 1")


def train(
    positive: Sequence[Example],
    negative: Sequence[Example],
    out: str | Path,
    settings: Settings = Settings(),
    notify: Callable[[str], None] = lambda _: None,
    exclude: Exclude | None = None,
) -> dict[str, Any]:
    """Train a classifier into the folder ``out``; returns the report.

    Writes ``model.bin`` (a plain fastText model), ``model.fold``, ``report.json`` and the model card ``MODEL.md``. The report's
    ``warnings`` say whether the classifier fails to separate the classes, and why. ``exclude`` returns ``bool[N]``: texts that
    must not be trained on, such as those that quote a benchmark.

    Raises `TrainingError` if a class has no example, or if both classes hold the same texts; ``OSError`` if the disk is full.
    """
    parts = split(positive, negative, settings, exclude)
    notify(parts.said)
    with published(out, FILES) as halves:
        _fit(parts.learned, halves / "model.bin", settings)
        folded = fold(halves / "model.bin")
        report = report_on(parts, folded, settings)
        _write(halves / "model.fold", lambda path: save_fold(folded, path))
        write_report(halves, report)
    return report


@dataclass(frozen=True)
class Split:
    """Examples as they are used: those to learn from, in random order, and those that are held out, with their labels."""

    learned: list[tuple[str, Example]]
    held: list[tuple[str, Example]]
    copies: int
    """Examples that were held back, and then left out as near copies of training examples."""
    excluded: int

    @property
    def said(self) -> str:
        """A line for the user."""
        return f"training on {len(self.learned):,} examples; {len(self.held):,} held out, {self.copies:,} near copies left out"


class Sampling(Protocol):
    """The settings that decide which examples are used."""

    @property
    def per_class(self) -> int: ...  # noqa: D102
    @property
    def held_out(self) -> float: ...  # noqa: D102
    @property
    def balanced(self) -> bool: ...  # noqa: D102
    @property
    def fraction(self) -> float: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102


def split(
    positive: Sequence[Example], negative: Sequence[Example], settings: Sampling, exclude: Exclude | None = None
) -> Split:
    """Sample the examples of both classes and hold a share of them out; `TrainingError` as `train` raises it."""
    allowed = {POSITIVE: _allowed(positive, exclude), NEGATIVE: _allowed(negative, exclude)}
    quoting = len(positive) + len(negative) - sum(map(len, allowed.values()))
    room = (
        min(settings.per_class, *(len(_unique(side)) for side in allowed.values())) if settings.balanced else settings.per_class
    )
    sides = {label: _sampled(side, settings.seed, room) for label, side in allowed.items()}
    for label, name in ((POSITIVE, "positive"), (NEGATIVE, "negative")):
        if not _unique(allowed[label]):
            raise TrainingError(f"there is no {name} example: a classifier needs both classes")
    if {e.text for e in sides[POSITIVE]} == {e.text for e in sides[NEGATIVE]}:
        raise TrainingError(
            "the positive and the negative examples are the same texts: give another kind of text for one of them"
        )
    learned = [(label, e) for label, side in sides.items() for e in side[: _learned(side, settings)]]
    kept_back = [(label, e) for label, side in sides.items() for e in side[_learned(side, settings) :]]
    copies = _copies([e for _, e in learned], [e for _, e in kept_back])
    held = [pair for pair, copy in zip(kept_back, copies, strict=True) if not copy]
    random.Random(settings.seed).shuffle(learned)
    return Split(learned, held, len(kept_back) - len(held), quoting)


@contextmanager
def published(out: str | Path, names: Sequence[str]) -> Iterator[Path]:
    """A temporary folder inside ``out``; its files of these names appear in ``out`` together when the block ends well."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    halves = Path(tempfile.mkdtemp(prefix=".half-", dir=folder))
    try:
        yield halves
        for name in names:
            os.replace(halves / name, folder / name)
    finally:
        shutil.rmtree(halves, ignore_errors=True)


def report_on(parts: Split, model: Scoring, settings: Any) -> dict[str, Any]:
    """The report on a classifier that has learned from a split; ``settings``: a dataclass that follows `Sampling`."""
    report = {
        "settings": asdict(settings),
        "sources": _sources(parts.learned),
        "learned": len(parts.learned),
        "classes": [sum(label == side for label, _ in parts.learned) for side in (POSITIVE, NEGATIVE)],
        "held_out": len(parts.held),
        "left_out": {"near_copies_of_learned": parts.copies, "excluded": parts.excluded},
        **evaluate(model, [(label == POSITIVE, e) for label, e in parts.held], POSITIVE, settings.fraction),
    }
    report["warnings"] = diagnose(report, lambda: _training_auc(model, parts.learned))
    return report


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write ``report.json`` and the model card ``MODEL.md``."""
    _write(folder / "report.json", lambda path: path.write_text(_json(report), "utf-8"))
    _write(folder / "MODEL.md", lambda path: path.write_text(model_card(report), "utf-8"))


def _training_auc(model: Scoring, learned: Sequence[tuple[str, Example]]) -> float | None:
    """The AUC on the first training examples, which are in random order; None if one class is missing among them."""
    texts = Texts.of([example.text for _, example in learned[:TRIED]])
    return auc(model.probability(texts, POSITIVE), np.array([label == POSITIVE for label, _ in learned[:TRIED]], bool))


def excluded(texts: Sequence[str], exclude: Exclude | None) -> list[bool]:
    """Whether each text must not be learned, asked in batches; all False without ``exclude``."""
    if exclude is None:
        return [False] * len(texts)
    return [bool(out) for k in range(0, len(texts), EXCLUDED) for out in exclude(Texts.of(texts[k : k + EXCLUDED]))]


def _allowed(side: Sequence[Example], exclude: Exclude | None) -> list[Example]:
    return [e for e, out in zip(side, excluded([e.text for e in side], exclude), strict=True) if not out]


def _unique(side: Sequence[Example]) -> list[Example]:
    """Each text once, under the first by name of the sources that have it."""
    found: dict[str, Example] = {}
    for example in side:
        held = found.get(example.text)
        if example.text.strip() and (not held or (example.origin, example.source) < (held.origin, held.source)):
            found[example.text] = example
    return list(found.values())


def _sampled(side: Sequence[Example], seed: int, room: int) -> list[Example]:
    """Up to ``room`` distinct examples, evenly from all sources; their order depends on the seed and the texts only."""
    keyed = sorted(_unique(side), key=lambda e: hashlib.sha256(f"{seed}\0{e.text}".encode()).digest())
    by_origin: dict[str, list[Example]] = {}
    for example in keyed:
        by_origin.setdefault(example.origin, []).append(example)
    taken, left = set[str](), len(by_origin)
    for origin in sorted(
        by_origin, key=lambda o: (len(by_origin[o]), o)
    ):  # small sources first: their unused share goes to the others
        share = min(len(by_origin[origin]), room // left)
        taken |= {e.text for e in by_origin[origin][:share]}
        left, room = left - 1, room - share
    return [e for e in keyed if e.text in taken]


def _learned(side: Sequence[Example], settings: Sampling) -> int:
    """The number of training examples of a class: all but the held-out share, and at least one."""
    return max(1, len(side) - int(len(side) * settings.held_out))


def _copies(learned: Sequence[Example], held: Sequence[Example]) -> list[bool]:
    """Whether each held-out example is a near copy: at least half of its runs of words occur in the training examples."""
    words = sum(len(e.text) // 5 for e in learned)
    every = 1
    while words // every > MOST_RUNS:
        every *= 2
    known = np.unique(np.concatenate([np.zeros(1, np.uint64), *(_runs(e, every) for e in learned)]))
    copies = []
    for example in held:
        runs = _runs(example, every)
        place = np.searchsorted(known, runs)
        copies.append(bool(len(runs) and (known[np.minimum(place, len(known) - 1)] == runs).mean() >= COPIED))
    return copies


def _runs(example: Example, every: int) -> npt.NDArray[np.uint64]:
    words = Texts.of([example.text]).uax29_words
    runs, _ = run_hashes(lowered_hashes(words.utf8, words.starts, words.ends), words.parents, RUN)
    return np.asarray(runs[runs % np.uint64(every) == 0])


def _sources(learned: Sequence[tuple[str, Example]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for label, example in learned:
        key = f"{label}: {example.origin}"
        counts[key] = counts.get(key, 0) + 1
    return dict(sorted(counts.items()))


def _line(label: str, text: str) -> str:
    words = (word for word in " ".join(text.split()).split(" ") if not word.startswith(PREFIX))
    return f"{PREFIX}{label} {' '.join(words)}\n"


def _fit(learned: Sequence[tuple[str, Example]], out: Path, settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "examples.txt"
        _write(lines, lambda path: path.write_text("".join(_line(label, e.text) for label, e in learned), "utf-8"))
        shown = 2 if os.isatty(2) else 0
        try:
            model = fasttext.train_supervised(
                str(lines), lr=settings.lr, dim=settings.dim, epoch=settings.epoch, wordNgrams=settings.word_ngrams,
                minCount=settings.min_count, bucket=settings.bucket, loss="softmax", thread=settings.threads,
                seed=settings.seed, verbose=shown,
            )  # fmt: skip
        except (RuntimeError, ValueError) as error:  # numbers overflow at a high learning rate
            raise TrainingError(f"fastText could not train ({error}): give a lower lr") from error
    _write(out, lambda path: _save(model, path))


def _save(model: Any, path: Path) -> None:
    """Write a model. fastText ignores failed writes: it reports success on a full disk, and the file is cut off."""
    model.save_model(str(path))
    try:
        with Reader(path) as written:
            written.check()
    except ModelError as error:
        with path.open("ab") as file:  # fails with the error that fastText has ignored
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
        raise TrainingError(f"fastText did not write the whole model: give the same command again ({error})") from error


def cut_off(out: str | Path) -> tuple[str, ...]:
    """``("model.bin",)`` if the folder has a truncated model, as a full disk leaves one, which may be replaced; else ``()``."""
    path = Path(out) / "model.bin"
    if not path.is_file():
        return ()
    try:
        with Reader(path) as written:
            written.check()
    except ModelError:
        return ("model.bin",)
    return ()


def _json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file and flush it to the disk; an ``OSError`` names the file."""
    try:
        write(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
