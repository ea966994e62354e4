"""Datasets of known order are found in that order; equal ones show no difference; equal seeds give equal bytes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from goldwash.evidence.compare import report
from goldwash.evidence.compare.documents import Named, Store, read_dataset, read_target
from goldwash.evidence.compare.experiment import Comparison, Data, Settings, compare, gather
from goldwash.evidence.compare.learners import Ngrams
from goldwash.evidence.errors import EvidenceError
from tests.support import sources
from tests.support.sources import SOURCES, source, with_junk, written

HELD_OUT = [text for topic in SOURCES for text in source(topic, 12, 10_000)]
BASE = [text for topic in SOURCES for text in source(topic, 100)]
QUICK = Settings(seeds=5, vocabulary=512, points=1, overlap=1.0)


def silent(line: str) -> None:
    """Nobody listens."""


def gathered(folder: Path, datasets: dict[str, Sequence[str]], settings: Settings, held_out: Sequence[str] = HELD_OUT) -> Data:
    named = [written(folder / f"{name}.jsonl", texts) for name, texts in datasets.items()]
    return gather(named, [written(folder / "target.jsonl", held_out)], settings, silent)


def compared(folder: Path, datasets: dict[str, Sequence[str]], settings: Settings = QUICK) -> Comparison:
    data = gathered(folder, datasets, settings)
    return compare(data, [Ngrams(data.tokenizer.vocab)], settings, silent)


def per_seed(found: Comparison, learner: int = 0) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Bits per byte of the only target: float64[datasets, seeds]."""
    bits = found.measured[learner].bits["target"][:, -1]
    return np.asarray(bits.sum(axis=-1) / found.data.targets[0].sizes.sum())


def test_junk_is_seen_in_the_right_order_at_every_seed(tmp_path: Path) -> None:
    found = compared(
        tmp_path, {f"junk{n}": with_junk(BASE, n) for n in (0, 2, 5, 10, 25)}, Settings(**{**vars(QUICK), "seeds": 6})
    )
    assert (np.diff(per_seed(found), axis=0) > 0).all(axis=0).sum() == 6
    assert [low for low, _ in report.ranks(found, found.measured[0])] == sorted(
        low for low, _ in report.ranks(found, found.measured[0])
    )
    assert found.mean_difference(found.measured[0], 0, 4).verdict == 1


def test_halves_of_a_dataset_are_not_told_apart_in_19_of_20_seeds(tmp_path: Path) -> None:
    datasets: dict[str, Sequence[str]] = {}
    for seed in range(20):
        order = list(range(len(BASE)))
        Random(seed).shuffle(order)
        datasets |= {f"one{seed}": [BASE[i] for i in order[::2]], f"two{seed}": [BASE[i] for i in order[1::2]]}
    data = gathered(tmp_path, datasets, Settings(**{**vars(QUICK), "vocabulary": 400}), HELD_OUT[::3])
    contained = 0
    for seed in range(20):
        pair = slice(2 * seed, 2 * seed + 2)
        halves = replace(data, datasets=data.datasets[pair], chosen=data.chosen[pair], notes=())
        found = compare(halves, [Ngrams(data.tokenizer.vocab, 3)], Settings(**{**vars(QUICK), "first_seed": seed}), silent)
        estimate = found.mean_difference(found.measured[0], 0, 1)
        contained += estimate.low <= 0 <= estimate.high
        assert estimate.half_width > 0
    assert contained >= 19


def test_a_dataset_equals_itself_in_another_order_and_format(tmp_path: Path) -> None:
    found = compared(tmp_path, {"one": BASE, "other": BASE[::-1]})
    estimate = found.mean_difference(found.measured[0], 0, 1)
    assert (estimate.mean, estimate.half_width, estimate.verdict) == (0, 0, 0)
    assert report.ranks(found, found.measured[0]) == [(1, 2), (1, 2)]
    assert any("no difference shown" in line for line in report.sentences(found))


def test_repeated_copies_cost_tokens(tmp_path: Path) -> None:
    copies = BASE + BASE[: len(BASE) // 10]
    found = compared(tmp_path, {"once": BASE, "tenth twice": copies, "all twice": BASE * 2})
    tenth, twice = (found.mean_difference(found.measured[0], 0, n) for n in (1, 2))
    assert tenth.verdict == 1
    assert twice.low > tenth.mean > 0
    times = found.multiplier(found.measured[0], "target", 2)
    assert times.value <= 1


def test_passes_make_a_dataset_of_copies(tmp_path: Path) -> None:
    """A large run that sees everything four times: the small one repeats its own tokens four times."""
    settings = Settings(**{**vars(QUICK), "tokens": 40_000})
    data = gathered(tmp_path, {"one": BASE, "half": BASE[::2]}, settings)
    once = compare(data, [Ngrams(data.tokenizer.vocab)], settings, silent)
    run = 4 * data.whole(1)
    often = compare(data, [Ngrams(data.tokenizer.vocab)], Settings(**{**vars(settings), "run_tokens": run}), silent)
    assert once.repeats == [1, 1]
    assert often.repeats == [pytest.approx(2, rel=0.1), pytest.approx(4)]
    assert often.mean_difference(often.measured[0], 0, 1).verdict == 1
    assert any(note.startswith("passes: one ") for note in often.notes)


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    datasets = {"plain": BASE[::3], "junk": with_junk(BASE[::3], 10)}
    settings = Settings(**{**vars(QUICK), "seeds": 2, "points": 2})
    found = [compared(tmp_path, datasets, one) for one in (settings, settings, Settings(**{**vars(settings), "first_seed": 5}))]
    texts = [json.dumps(report.values(one), default=str) for one in found]
    assert texts[0] == texts[1] != texts[2]
    pages = [report.page(one, "title", True) for one in found[:2]]
    assert pages[0] == pages[1]


def test_samples_are_paired_equal_and_whole(tmp_path: Path) -> None:
    from goldwash.evidence.compare.sampling import sample

    data = gathered(tmp_path, {"plain": BASE, "junk": with_junk(BASE, 5)}, QUICK)
    one, other = (sample(data.pieces, chosen, 3, 20_000) for chosen in data.chosen)
    assert len(one) == len(other) == 20_000
    texts = [{tuple(s.ids[a:b].tolist()) for a, b in zip(s.offsets, s.offsets[1:], strict=False)} for s in (one, other)]
    assert len(texts[0] & texts[1]) > 0.85 * len(texts[0])
    again = sample(data.pieces, data.chosen[0], 3, 20_000)
    assert again.ids.tolist() == one.ids.tolist()
    assert sample(data.pieces, data.chosen[0], 4, 20_000).ids.tolist() != one.ids.tolist()


def test_the_multiplier_of_more_of_the_same_is_found(tmp_path: Path) -> None:
    """Half of the documents are junk that teaches nothing of the target: one of its tokens is worth about half a token."""
    settings = Settings(**{**vars(QUICK), "points": 5, "tokens": 60_000})
    found = compared(tmp_path, {"plain": BASE, "half junk": with_junk(BASE, 50)}, settings)
    times = found.multiplier(found.measured[0], "target", 1)
    assert times.bound == ""
    assert 0.25 < times.value < 0.65
    assert times.tokens_for_one == pytest.approx(1 / times.value)


def test_a_budget_larger_than_a_dataset_is_refused_with_the_cure(tmp_path: Path) -> None:
    settings = Settings(**{**vars(QUICK), "tokens": 10_000_000})
    data = gathered(tmp_path, {"plain": BASE, "small": BASE[:50]}, settings)
    with pytest.raises(EvidenceError, match=r"plain has [\d,]+ tokens, and a budget of 10,000,000 .* --tokens \d+"):
        compare(data, [Ngrams(data.tokenizer.vocab)], settings, silent)


def test_the_smallest_dataset_decides_the_budget_and_it_is_said(tmp_path: Path) -> None:
    found = compared(tmp_path, {"plain": BASE, "small": BASE[:50]})
    assert found.budgets[-1] == int(0.5 * found.data.available(1))
    assert any("half of small" in note for note in found.notes)


def test_empty_documents_are_counted_and_one_huge_one_is_named(tmp_path: Path) -> None:
    found = compared(tmp_path, {"plain": BASE, "odd": ["", *BASE[:300], " ".join(BASE[300:600]), "", ""]})
    assert any("odd: 3 of 304 documents are empty" in note for note in found.notes)
    assert any("odd: one document has" in note for note in found.notes)
    with pytest.raises(EvidenceError, match="empty: no document with text"):
        gathered(tmp_path, {"plain": BASE, "empty": ["", ""]}, QUICK)


def test_blank_and_repeated_target_texts_are_counted(tmp_path: Path) -> None:
    data = gathered(tmp_path, {"plain": BASE, "small": BASE[:90]}, QUICK, ["", *HELD_OUT, " \n", *HELD_OUT[:2]])
    assert "target target: 4 texts are blank or copies of another, and were left out" in data.notes
    assert (len(data.targets[0].sizes), data.targets[0].left_out) == (len(HELD_OUT), 4)


def test_blank_texts_of_every_kind_of_file_are_counted(tmp_path: Path) -> None:
    contents = {
        "a.txt": "gold\n\nmud\n  \ngold\n",
        "a.csv": 'text\ngold\n""\nmud\n"  "\ngold\n',
        "a.json": '[{"text": "gold"}, {"text": ""}, {"text": null}, {"text": "mud"}, {"text": "gold"}]',
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        target = read_target(Named("t", (str(tmp_path / name),)))
        assert (target.texts, target.left_out) == (("gold", "mud"), 3)
    dataset = read_dataset(Named("d", (str(tmp_path / "a.txt"),)), Store(), 1 << 20)
    assert (dataset.documents, dataset.empty, len(dataset.rows)) == (5, 2, 3)


def test_the_parts_of_large_datasets_hold_the_same_texts(tmp_path: Path) -> None:
    store = Store()
    whole = read_dataset(written(tmp_path / "whole.jsonl", BASE), store, 1 << 30)
    parts = [read_dataset(written(tmp_path / f"{n}.jsonl", t), store, 100_000) for n, t in enumerate((BASE, BASE[::-1]))]
    assert whole.part == 1
    assert len(whole.rows) == len(BASE)
    assert parts[0].part == parts[1].part < 1
    assert sorted(parts[0].rows) == sorted(parts[1].rows)
    assert 25_000 < sum(len(store.texts[row]) for row in parts[0].rows) <= 100_000
    assert parts[0].documents == len(BASE)


def test_one_seed_or_one_document_is_said(tmp_path: Path) -> None:
    settings = Settings(**{**vars(QUICK), "seeds": 1})
    data = gathered(tmp_path, {"plain": BASE, "junk": with_junk(BASE, 25)}, settings)
    found = compare(data, [Ngrams(data.tokenizer.vocab)], settings, silent)
    assert any("one seed" in note for note in found.notes)
    data = gathered(tmp_path, {"plain": BASE, "junk": with_junk(BASE, 25)}, QUICK, [" ".join(HELD_OUT)])
    found = compare(data, [Ngrams(data.tokenizer.vocab)], QUICK, silent)
    assert any("has one document" in note for note in found.notes)
    assert found.mean_difference(found.measured[0], 0, 1).verdict == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"seeds": 0}, "--seeds"), ({"points": 0}, "--points"), ({"repeats": 0.5}, "--repeats"), ({"tokens": 0}, "--tokens"),
     ({"overlap": 0.0}, "--overlap"), ({"overlap": 1.1}, "--overlap"), ({"first_seed": -1}, "--seed")],
)  # fmt: skip
def test_settings_that_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        Settings(**settings)  # type: ignore[arg-type]


def test_names_must_differ_and_there_must_be_two(tmp_path: Path) -> None:
    one, target = written(tmp_path / "a.jsonl", BASE[:9]), written(tmp_path / "t.jsonl", HELD_OUT[:3])
    with pytest.raises(EvidenceError, match="two datasets, found 1"):
        gather([one], [target], QUICK, silent)
    with pytest.raises(EvidenceError, match="'a' is named twice"):
        gather([one, Named("a", target.places)], [target], QUICK, silent)
    with pytest.raises(EvidenceError, match="at least one target"):
        gather([one, Named("b", one.places)], [], QUICK, silent)


def test_mixtures_are_ranked_by_what_they_hold_of_the_target(tmp_path: Path) -> None:
    """The target is of one source: the mixtures are ranked by its share, as far as it differs."""
    datasets = {f"mix{n}": sources.mixture([w, *[(1 - w) / 8] * 8], 300) for n, w in enumerate((0.05, 0.2, 0.5, 0.9))}
    data = gathered(tmp_path, datasets, QUICK, source(SOURCES[0], 30, 10_000))
    found = compare(data, [Ngrams(data.tokenizer.vocab)], QUICK, silent)
    assert report.ranks(found, found.measured[0]) == [(4, 4), (3, 3), (2, 2), (1, 1)]
