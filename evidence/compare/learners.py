"""What is trained on the samples: n-gram models by counting, or small transformers.

Invariants: a learner returns the bits of every target token after each budget. With R repeats, a budget of B tokens is R passes
over its first B / R tokens (a broken pass at the end covers the beginning), so that a small run can repeat its data as often as
the large run that it stands for. Equal samples and seeds give equal bits. JAX is imported when a transformer is trained.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from goldwash.classifiers.ngram.model import LONGEST_ORDER, ORDER, Counter
from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.evidence.compare.sampling import Tokens
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.proxies.saved import batches, kept
from goldwash.evidence.proxies.sizes import SIZES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """A model after a budget. ``bits: float64[tokens]`` of the target; ``memory`` in bytes; ``save`` writes its file.

    A model by counts grows from budget to budget: save it before the next one is asked for.
    """

    bits: Floats
    memory: int
    save: Callable[[str, ByteTokenizer], None]


class Learner(Protocol):
    """Trains on a sample and is asked for bits."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def parameters(self) -> float | None:
        """Its parameters; None for a model by counts."""
        ...

    @property
    def rate(self) -> float | None:
        """Its learning rate; None for a model by counts."""
        ...

    @property
    def ending(self) -> str:
        """The ending of its files."""
        ...

    def trained(self, sample: Tokens, budgets: Sequence[int], repeats: float, target: Tokens, seed: int) -> Iterator[Trained]:
        """A model after each budget.

        ``sample`` has at least the tokens of the last budget over ``repeats``.
        """
        ...


def passes(tokens: int, repeats: float) -> tuple[int, int, int]:
    """How many different tokens a budget has, how often all of them are seen, and how many of them once more.

    >>> passes(1000, 1), passes(1000, 2.5), passes(1000, 4)
    ((1000, 1, 0), (400, 2, 200), (250, 4, 0))
    """
    distinct = max(int(tokens / repeats), 1)
    return distinct, tokens // distinct, tokens % distinct


@dataclass(frozen=True)
class Ngrams:
    """Interpolated Witten-Bell n-grams over byte-pair tokens (`classifiers.ngram`)."""

    vocab: int
    order: int = ORDER

    def __post_init__(self) -> None:
        if not 1 <= self.order <= LONGEST_ORDER:
            raise EvidenceError(f"--order: expected 1 to {LONGEST_ORDER}, found {self.order}")

    @property
    def name(self) -> str:
        """See `Learner`."""
        return f"{self.order}-gram"

    @property
    def parameters(self) -> None:
        """See `Learner`."""

    @property
    def rate(self) -> None:
        """See `Learner`."""

    ending: ClassVar[str] = "ngram"

    def trained(self, sample: Tokens, budgets: Sequence[int], repeats: float, target: Tokens, seed: int) -> Iterator[Trained]:
        """See `Learner`; one model grows from budget to budget where nothing repeats in part."""
        grown: tuple[Counter, int] | None = None
        for budget in budgets:
            distinct, times, more = passes(budget, repeats)
            if more:
                counter = Counter(sample.ids[:distinct], sample.cut(distinct).offsets, self.vocab, self.order)
                for part, count in ((sample.cut(distinct), times), (sample.cut(more), 1)):
                    counter.add(part.ids, part.offsets, count)
            else:
                most = sample.cut(passes(budgets[-1], repeats)[0])
                counter, done = grown or (Counter(most.ids, most.offsets, self.vocab, self.order), 0)
                part = sample.between(done, distinct)
                counter.add(part.ids, part.offsets, times)
                grown = counter, distinct
            bits = -counter.model().log2_probability(target.ids, target.offsets)
            yield Trained(bits, int(counter.table.nbytes), partial(_save_counts, counter))


@dataclass(frozen=True)
class Transformer:
    """A small transformer (`evidence.proxies.gpt`); each budget is a run of its own, whose schedule ends there."""

    vocab: int
    size: str = "0.5M"
    rate: float = 1e-3
    length: int = 128
    rows: int = 16
    ending: ClassVar[str] = "gpt"

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise EvidenceError(f"--size: there is no proxy of {self.size}; there are {', '.join(SIZES)}")
        if not 0 < self.rate < 1:
            raise EvidenceError(f"--rate: expected a learning rate between 0 and 1, found {self.rate:g}")

    @property
    def name(self) -> str:
        """See `Learner`."""
        return f"gpt {self.size}, rate {self.rate:g}"

    @property
    def parameters(self) -> float:
        """See `Learner`."""
        return float(SIZES[self.size].parameters(self.vocab + 2))

    def trained(self, sample: Tokens, budgets: Sequence[int], repeats: float, target: Tokens, seed: int) -> Iterator[Trained]:
        """See `Learner`."""
        from goldwash.evidence.proxies import gpt

        size = SIZES[self.size]
        shape = gpt.Shape(self.vocab + 2, size.width, size.layers, size.heads)
        for budget in budgets:
            steps = budget // (self.rows * self.length)
            if steps < 1:
                raise EvidenceError(
                    f"a transformer needs {self.rows * self.length:,} tokens per step, and the smallest budget is {budget:,}: "
                    "give more --tokens or fewer --points"
                )
            distinct = passes(budget, repeats)[0]
            stream, random = packed(sample.cut(distinct), self.vocab), np.random.default_rng([seed, 7])
            params, _ = gpt.train(
                shape, batches(stream, self.rows, self.length, random), steps, gpt.Settings(rate=self.rate), seed
            )
            save = partial(_save_transformer, params, shape.heads, self.length)
            # Parameters, their gradients and two moments, in 4 bytes each.
            yield Trained(self._losses(params, shape, target), 16 * gpt.parameters(params), save)

    def _losses(self, params: object, shape: object, target: Tokens, at_once: int = 64) -> Floats:
        """Bits of each target token, from windows of ``length`` tokens that begin with the token before them."""
        from goldwash.evidence.proxies import gpt

        windows, places = windowed(target, self.length, self.vocab)
        out = np.zeros(len(target), np.float64)
        for at in range(0, len(windows), at_once):
            block = windows[at : at + at_once]
            whole = np.concatenate([block, np.zeros((at_once - len(block), self.length + 1), np.int32)])
            losses = gpt.token_losses(params, whole, shape)[: len(block)]  # type: ignore[arg-type]
            where = places[at : at + at_once]
            out[where[where >= 0]] = losses[where >= 0]
        return np.asarray(out / np.log(2))


def _save_counts(counter: Counter, path: str, tokenizer: ByteTokenizer) -> None:
    counter.model(tokenizer).save(path)


def _save_transformer(params: dict[str, Any], heads: int, window: int, path: str, tokenizer: ByteTokenizer) -> None:
    kept(params, heads, window, tokenizer).save(path)


def packed(sample: Tokens, vocab: int) -> NDArray[np.int32]:
    """Documents one after the other, each after an end: ``int32[*]``. Ids rise by 1: 0 is padding, ``vocab + 1`` an end."""
    out = np.full(len(sample) + len(sample.offsets) - 1, vocab + 1, np.int32)
    document = np.repeat(np.arange(len(sample.offsets) - 1), np.diff(sample.offsets))
    out[np.arange(len(sample)) + document + 1] = sample.ids + 1
    return out


def windowed(target: Tokens, length: int, vocab: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Windows of documents, int32[windows, length + 1], padded with 0, and the target token of each place after the first.

    The places are int64[windows, length], -1 for padding. A window begins with the token before it, the first with the end.
    """
    windows, places = list[NDArray[np.int32]](), list[NDArray[np.int64]]()
    for begin, end in zip(target.offsets[:-1].tolist(), target.offsets[1:].tolist(), strict=True):
        for at in range(begin, end, length):
            stop = min(at + length, end)
            window, place = np.zeros(length + 1, np.int32), np.full(length, -1, np.int64)
            window[0] = target.ids[at - 1] + 1 if at > begin else vocab + 1
            window[1 : stop - at + 1] = target.ids[at:stop] + 1
            place[: stop - at] = np.arange(at, stop)
            windows.append(window)
            places.append(place)
    return np.array(windows, np.int32).reshape(-1, length + 1), np.array(places, np.int64).reshape(-1, length)
