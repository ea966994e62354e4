"""Word priors: how near a text's words are, in mean and deviation of their log frequency, to those of usual texts.

Invariants:

- The prior of a word is the log of its share of all words of the training texts, case ignored; an unknown word counts as half
  an occurrence. Words are cut at white space.
- A text has the mean and the standard deviation of its words' priors. Its score is minus the sum of their distances from the
  medians of the training texts, each in median absolute deviations: 0 is the most usual text. Lists of names, numbers and
  foreign languages have a low mean; repeated words and menus a low deviation.
- It is the fast stand-in for perplexity of arXiv 2509.18577: no model, one look-up per word.
"""

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.addresses import no_label
from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.train import Exclude, excluded, published
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.ngrams import Hashes, lowered_hashes
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

MOST_WORDS = 1 << 20
"""Words that a file holds, the most frequent ones: 12 MB."""
LEAST_TEXTS = 20
BATCH = 1000

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prior:
    """Priors of words as a measure (`goldwash.classifiers.measures`)."""

    words: Hashes
    """Sorted hashes of the words: ``uint64[M]``."""
    logs: npt.NDArray[np.float32]
    """The natural log of each word's share."""
    unknown: float
    centre: tuple[float, float]
    """The medians of the training texts' means and deviations."""
    spread: tuple[float, float]
    """Their median absolute deviations."""
    digest: str = ""
    file_name = "model.prior"

    def moments(self, texts: Texts) -> tuple[Numbers, Numbers]:
        """Mean and standard deviation of the words' priors: ``float64[N]`` twice, nan for a text without a word."""
        found, parents = _words(texts)
        place = np.minimum(np.searchsorted(self.words, found), len(self.words) - 1)
        logs = np.where(self.words[place] == found, self.logs[place].astype(np.float64), self.unknown)
        count = np.bincount(parents, minlength=len(texts)).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.bincount(parents, logs, len(texts)) / count
            square = np.bincount(parents, (logs - mean[parents]) ** 2, len(texts)) / count
        return mean, np.sqrt(square)

    def measure(self, texts: Texts, table: Any) -> Numbers:
        """Minus the distance from the usual text: ``float64[N]``; nan for a text without a word."""
        mean, deviation = self.moments(texts)
        return -(np.abs(mean - self.centre[0]) / self.spread[0] + np.abs(deviation - self.centre[1]) / self.spread[1])

    def versions(self) -> dict[str, str]:
        """The digest of the file."""
        return {"prior": self.digest}

    def save(self, path: str | Path) -> None:
        """Write the file from which `prior` reads the same."""
        facts = {"goldwash": "prior", "unknown": self.unknown, "centre": self.centre, "spread": self.spread}
        with open(path, "wb") as file:
            np.savez(file, words=self.words, logs=self.logs, facts=np.array(json.dumps(facts)))


def _words(texts: Texts) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The hashes of all words, and the text of each: ``uint64[M]``, ``int64[M]``."""
    words = texts.words
    parents = np.repeat(np.arange(len(texts)), np.diff(words.parents))
    return np.asarray(lowered_hashes(words.utf8, words.starts, words.ends)), parents


def prior(address: str, label: str | None) -> Prior:
    """The measure ``prior:ADDRESS``; `ModelError` if the file is missing or broken."""
    no_label("prior", label)
    path = fetched(address)
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            words, logs = np.asarray(file["words"], np.uint64), np.asarray(file["logs"], np.float32)
        if facts["goldwash"] != "prior" or not len(words) or words.shape != logs.shape or min(facts["spread"]) <= 0:
            raise ValueError("other numbers than expected")
        centre, spread = ((float(pair[0]), float(pair[1])) for pair in (facts["centre"], facts["spread"]))
        return Prior(words, logs, float(facts["unknown"]), centre, spread, file_digest(path))
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{printable(path)} is not a whole file of priors ({printable(error)}): make it with `goldwash train --kind prior`"
        ) from error


def train_prior(
    examples: Sequence[Example],
    out: str | Path,
    notify: Callable[[str], None] = lambda _: None,
    exclude: Exclude | None = None,
) -> dict[str, Any]:
    """Count the words of texts into ``model.prior`` in the folder ``out``; returns the report, which ``report.json`` has too.

    Equal texts count once. ``exclude`` returns ``bool[N]``: texts that must not count.
    Raises `TrainingError` for fewer than 20 texts, or texts that are all alike.
    """
    unique = sorted({e.text for e in examples})
    quoting = excluded(unique, exclude)
    unique = [text for text, out in zip(unique, quoting, strict=True) if not out]
    batches = [Texts.of(unique[k : k + BATCH]) for k in range(0, len(unique), BATCH)]
    words, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *(_words(b)[0] for b in batches)]), return_counts=True)
    total = int(counts.sum())
    if len(unique) < LEAST_TEXTS or not total:
        raise TrainingError(f"{len(unique):,} texts with {total:,} words are too few for priors: give {LEAST_TEXTS} or more")
    if len(words) > MOST_WORDS:
        most = np.sort(np.argsort(-counts, kind="stable")[:MOST_WORDS])
        words, counts = words[most], counts[most]
    logs, unknown = np.log(counts / total).astype(np.float32), float(np.log(0.5 / total))
    plain = Prior(words, logs, unknown, (0.0, 0.0), (1.0, 1.0))
    moments = np.concatenate([np.stack(plain.moments(batch)) for batch in batches], axis=1)
    moments = moments[:, ~np.isnan(moments[0])]
    centre = np.median(moments, axis=1)
    spread = np.median(np.abs(moments - centre[:, None]), axis=1)
    if (spread <= 0).any():
        raise TrainingError("more than half of the texts have the same mean or deviation of word priors: give other texts")
    pairs = [(float(pair[0]), float(pair[1])) for pair in (centre, spread)]
    report = {
        "texts": len(unique),
        "excluded": sum(quoting),
        "words": total,
        "distinct": len(words),
        "centre": pairs[0],
        "spread": pairs[1],
        "warnings": [],
    }
    notify(f"priors of {len(words):,} words from {len(unique):,} texts")
    with published(out, ("model.prior", "report.json")) as halves:
        Prior(words, logs, unknown, pairs[0], pairs[1]).save(halves / "model.prior")
        (halves / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return report
