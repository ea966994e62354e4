"""Training: equal bytes for equal examples, the sample and the split, the report, its warnings, and failing disks."""

import json
import os
import random
import resource
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers import train as training
from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.fasttext import Folded, ModelError, Native
from goldwash.classifiers.loader import load
from goldwash.classifiers.quality import better_label, scores
from goldwash.classifiers.train import Settings, train
from goldwash.filters.ngrams import lowered_hashes, run_hashes
from goldwash.filters.texts import Texts

SMALL = Settings(dim=4, bucket=100, epoch=10, lr=0.5, held_out=0.2)
POSITIVE = [Example(f"gold wäsche {k} of the river __label__cc shines", f"book{k % 2}") for k in range(40)]
NEGATIVE = [Example(f"mud {k} buy now\nclick here … {k % 7}", "crawl") for k in range(40)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(POSITIVE, NEGATIVE, folder, SMALL)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_equal_trainings_give_equal_bytes(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = train(POSITIVE, NEGATIVE, tmp_path, SMALL)
    assert again == trained[1]
    assert contents(tmp_path) == contents(trained[0])
    assert set(contents(tmp_path)) == {"model.bin", "model.fold", "report.json", "MODEL.md"}


def test_order_and_repeats_of_examples_do_not_matter(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    train([*POSITIVE[::-1], *POSITIVE[5:9]], NEGATIVE[::-1], tmp_path, SMALL)
    assert contents(tmp_path) == contents(trained[0])


@pytest.mark.parametrize("change", [{"seed": 1}, {"dim": 3}, {"word_ngrams": 1}, {"per_class": 20}])
def test_every_setting_changes_the_model(trained: tuple[Path, dict[str, Any]], tmp_path: Path, change: dict[str, int]) -> None:
    train(POSITIVE, NEGATIVE, tmp_path, Settings(**(vars(SMALL) | change)))
    assert contents(tmp_path)["model.bin"] != contents(trained[0])["model.bin"]


def test_report(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, report = trained
    assert json.loads((folder / "report.json").read_text()) == report
    assert (report["learned"], report["held_out"]) == (64, 16)
    assert report["auc"] == 1
    assert report["accuracy"] == 1
    means = report["mean_score_by_source"]
    assert set(means) == {"positive: book0", "positive: book1", "negative: crawl"}
    assert means["negative: crawl"] < 0.5 < means["positive: book0"]


def test_the_model_and_its_fold_score_alike(trained: tuple[Path, dict[str, Any]]) -> None:
    texts = Texts.of(["gold wäsche", "mud mud", ""])
    by_bin, by_fold = (scores(texts, trained[0] / name) for name in ("model.bin", "model.fold"))
    np.testing.assert_array_equal(by_bin, by_fold)
    assert by_fold.dtype == np.float32
    assert by_fold[0] > 0.5 > by_fold[1]


def test_nothing_held_out(tmp_path: Path) -> None:
    report = train(POSITIVE[:5], NEGATIVE[:5], tmp_path, Settings(dim=2, bucket=10, held_out=0))
    assert (report["held_out"], report["auc"], report["accuracy"]) == (0, None, None)


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        ([], NEGATIVE, "there is no positive example"),
        (POSITIVE, [], "there is no negative example"),
        ([Example(" \n", "x")], NEGATIVE, "there is no positive example"),
        (POSITIVE, POSITIVE[::-1], "are the same texts"),
    ],
)
def test_examples_that_teach_nothing_are_refused(
    positive: list[Example], negative: list[Example], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(positive, negative, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "asked", "better"),
    [(("cc", "hq"), None, "hq"), (("0", "1"), None, "1"), (("a", "b"), "a", "a"), (("hq", "x"), "x", "x")],
)
def test_better_label(labels: tuple[str, ...], asked: str | None, better: str) -> None:
    assert better_label(Native(labels, None, ""), asked) == better


@pytest.mark.parametrize(
    ("asked", "message"), [(None, "say which label is the better one"), ("zz", "no label 'zz'; it has: a, b")]
)
def test_no_better_label(asked: str | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        better_label(Native(("a", "b"), None, ""), asked)


def test_a_trained_model_loads_as_a_fold(trained: tuple[Path, dict[str, Any]]) -> None:
    assert isinstance(load(trained[0] / "model.bin"), Folded)


def test_the_model_card_is_written(trained: tuple[Path, dict[str, Any]]) -> None:
    card = (trained[0] / "MODEL.md").read_text("utf-8")
    assert card.startswith("# Model card\n")
    assert "On 16 held-out examples" in card
    assert "`gold`" in card


def test_plain_fasttext_reads_the_model(trained: tuple[Path, dict[str, Any]]) -> None:
    native = fasttext.load_model(str(trained[0] / "model.bin"))
    assert sorted(native.get_labels()) == ["__label__cc", "__label__hq"]
    assert native.f.predict("gold wäsche\n", 1, 0.0, "strict")[0][1] == "__label__hq"


def test_the_numbers_of_examples_are_reported(tmp_path: Path) -> None:
    lines: list[str] = []
    train(POSITIVE, NEGATIVE, tmp_path, SMALL, lines.append)
    assert lines == ["training on 64 examples; 16 held out, 0 near copies left out"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bucket": 0}, "bucket is 0; expected 1 or more"),
        ({"threads": 0}, "threads is 0"),
        ({"dim": -1}, "dim is -1"),
        ({"epoch": 0}, "epoch is 0"),
        ({"per_class": 0}, "per_class is 0"),
        ({"lr": 0.0}, "lr is 0.0; expected more than 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"held_out": 1.0}, "held_out is 1.0"),
        ({"held_out": -0.1}, "held_out is -0.1"),
        ({"fraction": 0.0}, "fraction is 0.0; expected a number above 0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**31}, "seed is 2147483648"),
        ({"word_ngrams": 65}, "word_ngrams is 65; expected at most 64"),
        ({"bucket": "many"}, "bucket is 'many'; expected a whole number"),
        ({"bucket": 1.0}, "bucket is 1.0; expected a whole number"),
        ({"bucket": None}, "bucket is None; expected a whole number"),
        ({"bucket": True}, "bucket is True; expected a whole number"),
        ({"lr": "0.1"}, "lr is '0.1'; expected a number"),
        ({"held_out": False}, "held_out is False; expected a number"),
        ({"balanced": 1}, "balanced is 1; expected true or false"),
        *[
            ({name: value}, f"{name} is {value}; expected less than 2 to the 31st")
            for name in ("dim", "epoch", "word_ngrams", "min_count", "bucket", "threads", "per_class")
            for value in (2**31, 3_000_000_000)
        ],
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        replace(SMALL, **change)


def test_a_learning_rate_that_overflows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"fastText could not train \(Encountered NaN.\): give a lower lr"):
        train(POSITIVE, NEGATIVE, tmp_path, replace(SMALL, lr=1000.0))
    assert list(tmp_path.iterdir()) == []


def test_more_threads_are_accepted(tmp_path: Path) -> None:
    report = train(POSITIVE, NEGATIVE, tmp_path, replace(SMALL, threads=2))
    assert report["settings"]["threads"] == 2
    assert report["learned"] == 64


# --- training and held-out examples

Split = tuple[list[tuple[str, Example]], list[tuple[bool, Example]]]


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Split, dict[str, Any]]]:
    """The training and the held-out examples of a training, and its report."""

    def splits(positive: Sequence[Example], negative: Sequence[Example], **more: Any) -> tuple[Split, dict[str, Any]]:
        learned: list[tuple[str, Example]] = []
        held: list[tuple[bool, Example]] = []
        fit, evaluate = training._fit, training.evaluate

        def fits(some: Sequence[tuple[str, Example]], *rest: Any) -> None:
            learned.extend(some)
            fit(some, *rest)

        def evaluates(model: Any, some: Sequence[tuple[bool, Example]], *rest: Any) -> dict[str, Any]:
            held.extend(some)
            return evaluate(model, some, *rest)

        exclude = more.pop("exclude", None)
        with monkeypatch.context() as patch:
            patch.setattr(training, "_fit", fits)
            patch.setattr(training, "evaluate", evaluates)
            report = train(positive, negative, tmp_path / "out", replace(SMALL, **more), exclude=exclude)
        return (learned, held), report

    return splits


WORDS = [f"w{k}" for k in range(400)]


def long_texts(count: int, seed: int, source: str = "", size: int = 60) -> list[Example]:
    """Texts that share no run of words."""
    drawn = random.Random(seed)
    return [Example(" ".join(drawn.choices(WORDS, k=size)), source, source) for _ in range(count)]


def changed(example: Example, places: Sequence[int]) -> Example:
    """The example with other words at these places, in capitals and with other punctuation."""
    words = example.text.upper().split()
    return replace(example, text=", ".join("CHANGED" if k in places else word for k, word in enumerate(words)))


def runs(text: str) -> list[tuple[str, ...]]:
    words = text.lower().replace(",", "").split()
    return [tuple(words[k : k + 8]) for k in range(max(len(words) - 8, 0) + 1)]


def test_near_copies_of_training_examples_are_not_held_out(split: Callable[..., tuple[Split, dict[str, Any]]]) -> None:
    originals = long_texts(60, 1)
    near = [changed(e, [30]) for e in originals[:40]]  # 8 of 53 runs are other ones
    (learned, held), report = split([*originals, *near], long_texts(100, 2), held_out=0.3)
    known = {run for _, e in learned for run in runs(e.text)}
    shares = [sum(run in known for run in runs(e.text)) / len(runs(e.text)) for _, e in held]
    assert max(shares) < 0.5
    assert (len(learned), report["learned"]) == (140, 140)
    assert report["left_out"] == {"near_copies_of_learned": 60 - len(held), "excluded": 0}
    assert report["held_out"] == len(held)
    assert sum(not positive for positive, _ in held) == 30  # nothing without a copy is left out
    texts = {e.text for _, e in learned}
    pairs = dict(zip([e.text for e in originals], near, strict=False))
    apart = sum((e.text in texts) != (pairs[e.text].text in texts) for e in originals if e.text in pairs)
    assert 60 - len(held) == apart > 5


def test_distant_copies_may_be_held_out(split: Callable[..., tuple[Split, dict[str, Any]]]) -> None:
    originals = long_texts(60, 1)
    distant = [changed(e, [5, 15, 25, 35, 45, 55]) for e in originals[:40]]  # 46 of 53 runs are other ones
    _, report = split([*originals, *distant], long_texts(100, 2), held_out=0.3)
    assert report["left_out"]["near_copies_of_learned"] == 0


def test_copies_across_the_classes_and_short_ones_are_found(split: Callable[..., tuple[Split, dict[str, Any]]]) -> None:
    short = [Example(f"gold {k}", "") for k in range(60)]
    _, report = split(short, [Example(e.text.upper() + "!", "") for e in short], held_out=0.5)
    assert report["left_out"]["near_copies_of_learned"] > 15


def test_a_sample_of_the_runs_finds_copies_in_large_sets(
    split: Callable[..., tuple[Split, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    originals = long_texts(40, 1, size=400)
    sides = [*originals, *(changed(e, [30]) for e in originals)], long_texts(80, 2, size=400)
    _, report = split(*sides, held_out=0.3)
    monkeypatch.setattr(training, "MOST_RUNS", 10_000)
    assert split(*sides, held_out=0.3)[1]["left_out"] == report["left_out"]
    assert report["left_out"]["near_copies_of_learned"] > 5


WORD = st.sampled_from(["a", "A", "b", "é", "É", "ab", "中"])


@given(st.lists(st.lists(WORD, max_size=20), max_size=4), st.integers(1, 9))
def test_runs_have_equal_hashes_if_and_only_if_their_words_are_equal(texts: list[list[str]], n: int) -> None:
    words = Texts.of([" ".join(text) for text in texts]).uax29_words
    hashes, bounds = run_hashes(lowered_hashes(words.utf8, words.starts, words.ends), words.parents, n)
    lowered = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
    expected = []
    for p in range(len(texts)):
        own = [words[k].translate(lowered) for k in range(words.parents[p], words.parents[p + 1])]
        expected.append([tuple(own[k : k + n]) for k in range(max(len(own) - n, 0) + 1)] if own else [])
    assert bounds.tolist() == [0, *np.cumsum([len(some) for some in expected]).tolist()]
    runs = [run for some in expected for run in some]
    assert len(set(hashes.tolist())) == len(set(runs))
    assert len(set(zip(hashes.tolist(), runs, strict=True))) == len(set(runs))


def test_excluded_examples_are_neither_trained_on_nor_held_out(split: Callable[..., tuple[Split, dict[str, Any]]]) -> None:
    positive = [*POSITIVE, *(replace(e, text=f"{e.text} secret") for e in POSITIVE)] * 30  # more than a batch

    def exclude(texts: Any) -> Any:
        return np.array(["secret" in text for text in texts], bool)

    (learned, held), report = split(positive, NEGATIVE, exclude=exclude)
    assert not any("secret" in e.text for _, e in [*learned, *held])
    assert report["left_out"]["excluded"] == 30 * 40
    assert report["learned"] == 64
    with pytest.raises(TrainingError, match="there is no positive example"):
        split([replace(e, text=f"{e.text} secret") for e in POSITIVE], NEGATIVE, exclude=exclude)


@pytest.mark.parametrize(
    ("sizes", "per_class", "quotas"),
    [
        ([100, 100], 50, [25, 25]),
        ([10, 100], 50, [10, 40]),
        ([10, 20, 100], 90, [10, 20, 60]),
        ([10, 100, 100], 90, [10, 40, 40]),
        ([10, 20], 50, [10, 20]),
        ([100], 50, [50]),
        ([1, 1, 100], 2, [0, 1, 1]),
        ([100, 100, 100], 50, [16, 17, 17]),
    ],
)
def test_sources_share_evenly_and_small_ones_leave_their_rest_to_others(
    split: Callable[..., tuple[Split, dict[str, Any]]], sizes: list[int], per_class: int, quotas: list[int]
) -> None:
    positive = [Example(f"gold {n} {k}", "", f"s{n}") for n, size in enumerate(sizes) for k in range(size)]
    (learned, _), report = split(positive, NEGATIVE, per_class=per_class, held_out=0)
    counts = Counter(e.origin for label, e in learned if label == "hq")
    assert [counts[f"s{n}"] for n in range(len(sizes))] == quotas
    assert sum(quotas) == min(per_class, sum(sizes))
    assert report["sources"] == {
        "cc: ": min(40, per_class),
        **{f"hq: s{n}": quota for n, quota in enumerate(quotas) if quota},
    }


def test_a_text_of_two_sources_is_learned_once_whatever_their_order(
    split: Callable[..., tuple[Split, dict[str, Any]]],
) -> None:
    one, other = ([replace(e, origin=name) for e in POSITIVE] for name in "ab")
    (learned, _), report = split([*one, *other], NEGATIVE, held_out=0)
    assert report["sources"] == {"cc: ": 40, "hq: a": 40}
    assert split([*other, *one], NEGATIVE, held_out=0)[0][0] == learned


def test_balanced_classes_have_as_many_examples_as_the_smaller(split: Callable[..., tuple[Split, dict[str, Any]]]) -> None:
    (learned, _), report = split([*POSITIVE, *POSITIVE], NEGATIVE[:10], balanced=True, held_out=0)
    assert Counter(label for label, _ in learned) == {"hq": 10, "cc": 10}
    assert report["settings"]["balanced"] is True
    (learned, _), _ = split(POSITIVE, NEGATIVE[:10], balanced=False, held_out=0)
    assert Counter(label for label, _ in learned) == {"hq": 40, "cc": 10}
    (learned, _), _ = split(POSITIVE, NEGATIVE[:10], balanced=True, per_class=5, held_out=0)
    assert Counter(label for label, _ in learned) == {"hq": 5, "cc": 5}


def test_training_and_held_out_examples_are_disjoint_and_complete(split: Callable[..., tuple[Split, dict[str, Any]]]) -> None:
    positive, negative = long_texts(50, 1), long_texts(30, 2)
    (learned, held), _ = split(positive, negative, held_out=0.2)
    assert sorted([*(e.text for _, e in learned), *(e.text for _, e in held)]) == sorted(e.text for e in positive + negative)
    assert Counter(label for label, _ in learned) == {"hq": 40, "cc": 24}
    assert Counter(positive for positive, _ in held) == {True: 10, False: 6}
    assert {label for label, e in learned if e in positive} == {"hq"}


def test_one_example_per_class_is_trained_on_and_none_held_out(split: Callable[..., tuple[Split, dict[str, Any]]]) -> None:
    (learned, held), report = split(POSITIVE[:1], NEGATIVE[:1], held_out=0.9)
    assert (len(learned), held) == (2, [])
    assert report["at_fraction"] is None
    assert report["at_negative_fraction"] is None
    assert report["calibration"] == []


# --- warnings, and disks that fill up


def test_classes_of_the_same_kind_of_text_are_warned_about(tmp_path: Path) -> None:
    same = long_texts(600, 1)
    report = train(same[:300], same[300:], tmp_path, replace(SMALL, bucket=10_000, lr=1.0, epoch=30))
    assert "does not tell held-out examples apart" in report["warnings"][0]
    assert "memorised" in report["warnings"][0]
    assert json.loads((tmp_path / "report.json").read_text())["warnings"] == report["warnings"]
    assert f"**Warning:** {report['warnings'][0]}." in (tmp_path / "MODEL.md").read_text("utf-8")


def test_too_few_epochs_are_warned_about_and_more_are_the_cure(tmp_path: Path) -> None:
    sides = [[replace(e, text=f"{word} {e.text}") for e in long_texts(100, seed)] for word, seed in (("gold", 1), ("mud", 2))]
    few = train(*sides, tmp_path / "few", replace(SMALL, lr=0.01, epoch=1))
    assert any("--set epoch=25; it had 1" in warning for warning in few["warnings"])
    assert train(*sides, tmp_path / "more", replace(SMALL, epoch=25))["warnings"] == []


def test_a_classifier_that_works_is_not_warned_about(trained: tuple[Path, dict[str, Any]]) -> None:
    assert trained[1]["warnings"] == []
    assert "Warning" not in (trained[0] / "MODEL.md").read_text("utf-8")


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Writes beyond this many bytes of a file fail, as on a full disk: with an error that C++ streams keep to themselves."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


LARGE = replace(SMALL, bucket=20_000)  # model.bin: 320 kB, model.fold: 80 kB


@pytest.mark.parametrize("size", [0, 5_000, 30_000, 100_000, 300_000])
def test_a_write_that_fails_leaves_no_model_and_a_rerun_makes_it(size: int, tmp_path: Path) -> None:
    with files_up_to(size), pytest.raises(OSError, match="File too large"):
        train(POSITIVE, NEGATIVE, tmp_path / "out", LARGE)
    assert list((tmp_path / "out").iterdir()) == []
    train(POSITIVE, NEGATIVE, tmp_path / "out", LARGE)
    train(POSITIVE, NEGATIVE, tmp_path / "whole", LARGE)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_write_that_fails_leaves_the_earlier_training_as_it_was(tmp_path: Path) -> None:
    train(POSITIVE, NEGATIVE, tmp_path, SMALL)
    before = contents(tmp_path)
    with files_up_to(100_000), pytest.raises(OSError, match="File too large"):
        train(POSITIVE, NEGATIVE, tmp_path, LARGE)
    assert contents(tmp_path) == before


def test_a_model_that_was_cut_off_is_trained_again(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    for name, content in contents(trained[0]).items():
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    train(POSITIVE, NEGATIVE, tmp_path, SMALL)
    assert contents(tmp_path) == contents(trained[0])


def test_a_model_that_fasttext_leaves_incomplete_without_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = fasttext.FastText._FastText.save_model

    def cut(model: Any, path: str) -> None:
        save(model, path)
        os.truncate(path, os.path.getsize(path) - 7)

    monkeypatch.setattr(fasttext.FastText._FastText, "save_model", cut)
    with pytest.raises(TrainingError, match="fastText did not write the whole model: give the same command again"):
        train(POSITIVE, NEGATIVE, tmp_path, SMALL)
    assert list(tmp_path.iterdir()) == []
