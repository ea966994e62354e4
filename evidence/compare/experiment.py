"""A comparison: datasets, targets, learners, seeds; its bits; and what follows from them.

Invariants: every dataset is sampled with the same seeds and budgets, and every model is asked for the same target tokens. Equal
inputs and settings give equal results. A budget leaves at least a fifth of each dataset unsampled, so that seeds differ.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldwash.classifiers.ngram.tokenizer import VOCABULARY, ByteTokenizer
from goldwash.evidence.compare import documents, kinds
from goldwash.evidence.compare.documents import Contamination, Dataset, Named, Store, Target
from goldwash.evidence.compare.intervals import Estimate, Multiplier, mean_of, multiplier, ratio
from goldwash.evidence.compare.learners import Learner, passes
from goldwash.evidence.compare.sampling import PIECE, Pieces, Tokens, budgets, pieces_of, sample, tokenizer_of
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.quantities import short
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

Floats = NDArray[np.float64]
Notify = Callable[[str], None]
MOST_TOKENS = 2_000_000
"""The default budget where datasets are large: 5-grams take half a second per sample."""
MOST_FRACTION = 0.8
"""The largest part of a dataset that a sample may be."""
USUAL_FRACTION = 0.5
KEPT_BYTES = 16
"""Bytes of a dataset's text that are kept per token of the budget: four samples' worth."""


@dataclass(frozen=True)
class Settings:
    """How datasets are compared. ``tokens``: the budget, None for what the smallest dataset allows.

    ``run_tokens``: tokens of the large run that this stands for; a dataset that has fewer is repeated as often as it will be.
    """

    tokens: int | None = None
    seeds: int = 5
    first_seed: int = 0
    points: int = 6
    repeats: float = 1.0
    run_tokens: float | None = None
    vocabulary: int = VOCABULARY
    overlap: float = documents.OVERLAP

    def __post_init__(self) -> None:
        for value, name, least in (
            (self.tokens if self.tokens is not None else 1, "--tokens", 1),
            (self.seeds, "--seeds", 1),
            (self.points, "--points", 1),
            (self.repeats, "--repeats", 1),
            (self.first_seed, "--seed", 0),
        ):
            if not value >= least:
                raise EvidenceError(f"{name}: expected at least {least}, found {value:g}")
        if not 0 < self.overlap <= 1:
            raise EvidenceError(f"--overlap: expected a fraction above 0 and at most 1, found {self.overlap:g}")


@dataclass(frozen=True)
class Encoded:
    """A target as tokens. ``sizes: float64[documents]`` in bytes; ``shares: float64[tokens, kinds]`` (`kinds.shares`)."""

    name: str
    tokens: Tokens
    sizes: Floats
    shares: Floats
    kind_sizes: Floats
    """Bytes of each kind: ``float64[kinds]``."""
    contaminated: int
    contaminated_by: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    """Texts that were blank or copies of another."""


@dataclass(frozen=True)
class Data:
    """Everything that is read, encoded. ``chosen``: of each dataset the numbers of its pieces."""

    datasets: Sequence[Dataset]
    chosen: Sequence[NDArray[np.int64]]
    pieces: Pieces
    targets: Sequence[Encoded]
    tokenizer: ByteTokenizer
    notes: Sequence[str] = ()

    def available(self, number: int) -> int:
        """Tokens of a dataset that were kept."""
        return self.pieces.tokens(self.chosen[number])

    def whole(self, number: int) -> float:
        """Tokens of a whole dataset, from its bytes and the bytes per token of what was kept."""
        kept = self.pieces.of(np.unique(self.datasets[number].rows))
        counts = self.tokenizer.byte_counts
        size = sum(int(counts[self.pieces.ids[a:b]].sum()) for a, b in self._some(kept))
        tokens = sum(b - a for a, b in self._some(kept))
        return self.datasets[number].bytes * tokens / max(size, 1)

    def _some(self, pieces: NDArray[np.int64]) -> list[tuple[int, int]]:
        shown = pieces[:1000]
        return list(zip(self.pieces.starts[shown].tolist(), self.pieces.ends[shown].tolist(), strict=True))


@dataclass(frozen=True)
class Measured:
    """A learner's results. ``bits[target]: float64[datasets, points, seeds, documents]`` in bits.

    ``kind_bits[target]: float64[datasets, kinds]``: at the last budget, the mean over seeds. ``memory``: bytes of the largest.
    """

    learner: Learner
    bits: Mapping[str, Floats]
    kind_bits: Mapping[str, Floats]
    memory: int


@dataclass(frozen=True)
class Comparison:
    """A finished comparison. ``repeats`` and ``fractions`` are of each dataset: passes, and the part that a sample is of it."""

    data: Data
    settings: Settings
    budgets: Sequence[int]
    repeats: Sequence[float]
    fractions: Sequence[float]
    measured: Sequence[Measured]
    notes: Sequence[str]

    @property
    def names(self) -> list[str]:
        """The datasets' names."""
        return [dataset.name for dataset in self.data.datasets]

    def overlap(self, *numbers: int) -> float:
        """The largest fraction of a dataset that a sample is, among these datasets."""
        return max(self.fractions[n] for n in numbers)

    def level(self, result: Measured, target: str, number: int) -> Estimate:
        """Bits per byte of a target after training on a dataset."""
        return ratio(result.bits[target][number, -1], self._sizes(target), self.overlap(number))

    def difference(self, result: Measured, target: str, one: int, other: int) -> Estimate:
        """Bits per byte of ``other`` minus those of ``one``; below 0, ``other`` teaches more."""
        bits = result.bits[target][other, -1] - result.bits[target][one, -1]
        return ratio(bits, self._sizes(target), self.overlap(one, other))

    def mean_level(self, result: Measured, number: int) -> float:
        """The mean of bits per byte over targets."""
        return float(np.mean([self.level(result, target.name, number).mean for target in self.data.targets]))

    def mean_difference(self, result: Measured, one: int, other: int) -> Estimate:
        """The mean of `difference` over targets."""
        parts = [
            (result.bits[t.name][other, -1] - result.bits[t.name][one, -1], self._sizes(t.name)) for t in self.data.targets
        ]
        return mean_of(parts, self.overlap(one, other))

    def curve(self, result: Measured, target: str, number: int) -> Floats:
        """Bits per byte at each budget, the mean over seeds: ``float64[points]``."""
        return np.asarray(result.bits[target][number].mean(axis=1).sum(axis=1) / self._sizes(target).sum())

    def mean_curve(self, result: Measured, number: int) -> Floats:
        """The mean of `curve` over targets."""
        return np.asarray(np.mean([self.curve(result, target.name, number) for target in self.data.targets], axis=0))

    def multiplier(self, result: Measured, target: str, number: int) -> Multiplier:
        """The compute multiplier of a dataset over the first."""
        return multiplier(self.budgets, self.curve(result, target, 0), self.curve(result, target, number))

    def _sizes(self, target: str) -> Floats:
        return next(t.sizes for t in self.data.targets if t.name == target)


def gather(
    datasets: Sequence[Named],
    targets: Sequence[Named],
    settings: Settings,
    notify: Notify,
    tokenizer: ByteTokenizer | None = None,
) -> Data:
    """Read datasets and targets, leave out contaminated target texts, and encode the rest.

    Raises `EvidenceError` where there is nothing to compare, or names are given twice.
    """
    _check_names([named.name for named in datasets], "dataset")
    _check_names([named.name for named in targets], "target")
    asked = [documents.read_target(named) for named in targets]
    looked = Contamination(asked)
    store, read, notes = Store(), list[Dataset](), list[str]()
    most = KEPT_BYTES * (settings.tokens or MOST_TOKENS)
    for named in datasets:
        notify(f"reading {printable(named.name)}")
        read.append(documents.read_dataset(named, store, most, looked))
    clean, told = looked.clean(settings.overlap)
    notify(f"encoding {len(store.texts):,} texts")
    used = [[store.texts[row] for row in np.unique(dataset.rows).tolist()] for dataset in read]
    made = tokenizer or tokenizer_of(used, settings.vocabulary)
    pieces = pieces_of(store, made)
    chosen = [pieces.of(dataset.rows) for dataset in read]
    for dataset, own in zip(read, chosen, strict=True):
        notes += _dataset_notes(dataset, pieces, own)
    for target in clean:
        notes += _target_notes(target, told[target.name])
    encoded = [_encoded(target, made, told[target.name]) for target in clean]
    return Data(read, chosen, pieces, encoded, made, notes)


def _check_names(names: Sequence[str], what: str) -> None:
    if len(names) < (2 if what == "dataset" else 1):
        raise EvidenceError(f"expected at least {'two datasets' if what == 'dataset' else 'one target'}, found {len(names)}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EvidenceError(f"the {what} {twice[0]!r} is named twice: give NAME=PLACE with different names")


def _dataset_notes(dataset: Dataset, pieces: Pieces, chosen: NDArray[np.int64]) -> list[str]:
    out = []
    if dataset.empty:
        out.append(f"{dataset.name}: {dataset.empty:,} of {dataset.documents:,} documents are empty, and were left out")
    if dataset.part < 1:
        out.append(f"{dataset.name}: {dataset.part:.3g} of its texts were kept, chosen by their hashes")
    sizes = np.add.reduceat(pieces.ends - pieces.starts, pieces.firsts[:-1])[dataset.rows]
    if sizes.max(initial=0) > max(0.1 * sizes.sum(), PIECE):
        out.append(
            f"{dataset.name}: one document has {sizes.max() / sizes.sum():.0%} of its tokens; it is drawn in pieces of "
            f"{PIECE:,}"
        )
    return out


def _target_notes(target: Target, told: Mapping[str, int]) -> list[str]:
    out, left = list[str](), len(target.texts)
    if target.left_out:
        out.append(f"target {target.name}: {target.left_out:,} texts are blank or copies of another, and were left out")
    if target.contaminated:
        where = ", ".join(f"{name}: {count:,}" for name, count in told.items())
        words = f"{target.contaminated:,} texts are in datasets ({where}) and were left out; {left:,} are left"
        out.append(f"target {target.name}: {words}")
    return out


def _encoded(target: Target, tokenizer: ByteTokenizer, told: Mapping[str, int]) -> Encoded:
    texts = Texts.of(list(target.texts))
    ids, offsets = tokenizer.encode(texts)
    kinds_ = np.concatenate([kinds.kinds_of(text.encode()) for text in target.texts])
    return Encoded(
        target.name,
        Tokens(ids, offsets),
        texts.byte_counts.astype(np.float64),
        kinds.shares(kinds_, tokenizer.byte_counts[ids]),
        np.bincount(kinds_, minlength=len(kinds.KINDS)).astype(np.float64),
        target.contaminated,
        told,
        target.left_out,
    )


def compare(data: Data, learners: Sequence[Learner], settings: Settings, notify: Notify, keep: str | None = None) -> Comparison:
    """Train every learner on every dataset and seed; ``keep``: a folder for the models of the first seed.

    Raises `EvidenceError` where a dataset is too small for the budget.
    """
    repeats = [_repeats(data.whole(n), settings) for n in range(len(data.datasets))]
    distinct = [data.available(n) * times for n, times in enumerate(repeats)]
    budget = settings.tokens or min(MOST_TOKENS, int(USUAL_FRACTION * min(distinct)))
    if budget < 1:
        raise EvidenceError("the smallest dataset has no token to spare: give larger datasets")
    fractions = [budget / have for have in distinct]
    notes = [*data.notes, *_budget_notes(data, settings, budget, fractions, repeats)]
    steps = budgets(budget, settings.points)
    trial = Trial(data, settings, steps, repeats, keep)
    measured = [_measured(trial, learner, notify) for learner in learners]
    return Comparison(data, settings, steps, repeats, fractions, measured, notes)


def _repeats(whole: float, settings: Settings) -> float:
    """Passes over a dataset in the run that this stands for."""
    return max(settings.repeats, (settings.run_tokens or 0) / max(whole, 1))


def _budget_notes(
    data: Data, settings: Settings, budget: int, fractions: Sequence[float], repeats: Sequence[float]
) -> list[str]:
    out = []
    for n, (dataset, fraction) in enumerate(zip(data.datasets, fractions, strict=True)):
        if fraction > MOST_FRACTION:
            have = data.available(n)
            raise EvidenceError(
                f"{dataset.name} has {have:,} tokens, and a budget of {budget:,} is {fraction:.2g} times what its "
                f"{repeats[n]:.3g} passes give, so that seeds could not differ: give --tokens {int(USUAL_FRACTION * have)}, a "
                f"larger dataset, or --repeats {budget / USUAL_FRACTION / have:.2g}"
            )
    if settings.tokens is None and budget < MOST_TOKENS:
        smallest = data.datasets[int(np.argmax(fractions))].name
        out.append(f"the budget is {short(budget)} tokens, half of {smallest}, the smallest dataset")
    if max(repeats) > 1:
        out.append("passes: " + ", ".join(f"{d.name} {r:.3g}" for d, r in zip(data.datasets, repeats, strict=True)))
    if settings.seeds < 2:
        out.append("one seed: the intervals are over target documents alone; give --seeds 2 or more")
    out += [
        f"target {target.name} has one document: its intervals are over seeds alone; give more texts"
        for target in data.targets
        if len(target.sizes) < 2
    ]
    return out


@dataclass(frozen=True)
class Trial:
    """What every learner is given: data, settings, budgets, each dataset's passes, and a folder for models."""

    data: Data
    settings: Settings
    steps: Sequence[int]
    repeats: Sequence[float]
    keep: str | None

    def place(self, dataset: Dataset, learner: Learner) -> str:
        """The file of a dataset's model: ``A-5-gram.ngram``."""
        name = re.sub(r"[^\w.=-]+", "_", f"{dataset.name}-{learner.name}", flags=re.ASCII)
        return f"{self.keep}/{name}.{learner.ending}"


def _measured(trial: Trial, learner: Learner, notify: Notify) -> Measured:
    data, settings, steps, repeats = trial.data, trial.settings, trial.steps, trial.repeats
    joined, places = _joined(data.targets)
    shape = (len(data.datasets), len(steps), settings.seeds)
    bits = {target.name: np.zeros((*shape, len(target.sizes))) for target in data.targets}
    by_kind = {target.name: np.zeros((len(data.datasets), len(kinds.KINDS))) for target in data.targets}
    memory = 0
    for number, dataset in enumerate(data.datasets):
        notify(f"{learner.name}: {printable(dataset.name)}, {settings.seeds} seeds of {short(steps[-1])} tokens")
        for s in range(settings.seeds):
            seed = settings.first_seed + s
            drawn = sample(data.pieces, data.chosen[number], seed, passes(steps[-1], repeats[number])[0])
            for point, model in enumerate(learner.trained(drawn, steps, repeats[number], joined, seed)):
                memory = max(memory, model.memory)
                if trial.keep is not None and s == 0 and point == len(steps) - 1:
                    model.save(trial.place(dataset, learner), data.tokenizer)
                for target, (begin, end) in zip(data.targets, places, strict=True):
                    own = model.bits[begin:end]
                    sums = np.concatenate([[0.0], np.cumsum(own)])
                    bits[target.name][number, point, s] = sums[target.tokens.offsets[1:]] - sums[target.tokens.offsets[:-1]]
                    if point == len(steps) - 1:
                        by_kind[target.name][number] += own @ target.shares / settings.seeds
    return Measured(learner, bits, by_kind, memory)


def _joined(targets: Sequence[Encoded]) -> tuple[Tokens, list[tuple[int, int]]]:
    """All targets as one, so that a model is asked once; and where each one's tokens are."""
    ids = np.concatenate([target.tokens.ids for target in targets])
    offsets, places, at = [np.zeros(1, np.int64)], list[tuple[int, int]](), 0
    for target in targets:
        offsets.append(target.tokens.offsets[1:] + at)
        places.append((at, at + len(target.tokens)))
        at += len(target.tokens)
    return Tokens(ids, np.concatenate(offsets)), places
