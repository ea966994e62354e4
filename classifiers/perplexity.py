"""Perplexity: how well an n-gram model that was trained on good text predicts a text.

Invariants:

- The score is a mean natural logarithm: -score is the log of the perplexity. It is *per byte* for goldwash's n-gram models
  (`classifiers.ngram`), and *per word* for KenLM's files, line by line as CCNet does (arXiv 1911.00359). Per token, a text in
  an unknown script would look better than good prose: it falls into tokens of one byte, which are easy to predict.
- A KenLM file (``.arpa``, packed or not, and its binary form) is read by the package kenlm. Its text must be as its training
  text was: words between spaces.
- A text without a byte, or of a KenLM file without a word, has no score.

DCLM's table 4 keeps the texts of lowest perplexity (arXiv 2406.11794, section 4.4).
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.addresses import no_label
from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram.model import ORDER, NgramModel, is_ngram_file
from goldwash.classifiers.ngram.tokenizer import VOCABULARY
from goldwash.classifiers.train import Exclude, check_least, check_shares, check_types, excluded, published
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

Numbers = npt.NDArray[np.float64]
KENLM_HEADS = (b"mmap lm http://kheafield.com/code", b"\\data\\", b"\xef\xbb\xbf\\data\\", b"\n\\data\\")
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


@dataclass(frozen=True)
class NgramSettings:
    """How an n-gram model is trained."""

    vocabulary: int = VOCABULARY
    """Tokens of the byte-pair vocabulary."""
    order: int = ORDER
    """Tokens of the longest n-gram."""
    held_out: float = 0.05
    """The share of texts on which the model is measured."""

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 1, "vocabulary", "order")
        check_shares(self)


@dataclass(frozen=True, eq=False)
class Perplexity:
    """An n-gram model as a measure (`goldwash.classifiers.measures`)."""

    path: Path
    digest: str
    model: NgramModel
    file_name = "model.ngram"

    def measure(self, texts: Texts, table: Any) -> Numbers:
        """The mean log probability per byte: ``float64[N]``; nan for an empty text."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(-math.log(2) * self.model.bits(texts) / texts.byte_counts)

    def versions(self) -> dict[str, str]:
        """The digest of the model, and the version of the package that cuts texts into tokens."""
        return {"model": self.digest, "tokenizers": version("tokenizers")}

    def save(self, path: str) -> None:
        """Write the model."""
        self.model.save(path)


@dataclass(frozen=True, eq=False)
class KenLM:
    """A KenLM file as a measure (`goldwash.classifiers.measures`)."""

    path: Path
    digest: str
    model: Any

    def measure(self, texts: Texts, table: Any) -> Numbers:
        """The mean log probability per word and end of line: ``float64[N]``; nan for a text without a word."""
        return np.array([self._of(text) for text in texts], np.float64)

    def _of(self, text: str) -> float:
        lines = [line for line in text.split("\n") if line.strip()]
        words = sum(len(line.split()) + 1 for line in lines)
        return math.log(10) * math.fsum(self.model.score(line) for line in lines) / words if lines else math.nan

    def versions(self) -> dict[str, str]:
        """The digest of the file, and the version of kenlm."""
        return {"model": self.digest, "kenlm": version("kenlm")}

    @property
    def file_name(self) -> str:
        """The file's own name: kenlm decides by its ending."""
        return self.path.name

    def save(self, path: str) -> None:
        """Copy the file."""
        Path(path).write_bytes(self.path.read_bytes())


def perplexity(address: str, label: str | None) -> Perplexity | KenLM:
    """The measure ``perplexity:ADDRESS``; `ModelError` for a file that is missing, broken, or of another kind."""
    no_label("perplexity", label)
    path = fetched(address)
    digest = file_digest(path)
    if is_ngram_file(path):
        model = NgramModel.load(path)
        if model.tokenizer is None:
            raise ModelError(f"{printable(path)} has no tokenizer, so texts cannot be scored: train it with `goldwash train`")
        return Perplexity(path, digest, model)
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(KENLM_HEADS) or (head.startswith(PACKED) and ".arpa" in path.name):
        return KenLM(path, digest, _kenlm(str(path), digest))
    raise ModelError(
        f"{printable(path)} is no n-gram model (it begins with {head[:12]!r}): expected one of `goldwash train --kind ngram`, "
        "or a KenLM file (.arpa or binary)"
    )


def train_ngram(
    examples: Sequence[Example],
    out: str | Path,
    settings: NgramSettings = NgramSettings(),
    notify: Callable[[str], None] = lambda _: None,
    exclude: Exclude | None = None,
) -> dict[str, Any]:
    """Train an n-gram model on texts into ``model.ngram`` in the folder ``out``; returns the report, which ``report.json`` has.

    Equal texts count once; the report has the bits per byte of held-out texts. ``exclude`` returns ``bool[N]``: texts that must
    not be trained on, such as those that quote a benchmark. Raises `TrainingError` if no text is left.
    """
    unique = sorted({e.text for e in examples if e.text}, key=_mixed)
    quoting = excluded(unique, exclude)
    kept = [text for text, out in zip(unique, quoting, strict=True) if not out]
    if not kept:
        raise TrainingError(f"no text is left to train on: {len(unique):,} were given, {sum(quoting):,} quote a benchmark")
    held = kept[: int(len(kept) * settings.held_out)]
    learned = kept[len(held) :]
    model = NgramModel.of_texts(learned, settings.vocabulary, settings.order)
    texts = Texts.of(held)
    report = {
        "settings": asdict(settings),
        "learned": len(learned),
        "held_out": len(held),
        "excluded": sum(quoting),
        "bits_per_byte": float(model.bits(texts).sum() / texts.bytes) if texts.bytes else None,
        "memory": model.bytes,
        "sources": {o: sum(e.origin == o for e in examples) for o in sorted({e.origin for e in examples})},
        "warnings": [] if held else ["no text was held out: nothing says how well the model predicts others"],
    }
    notify(f"a {settings.order}-gram model of {len(learned):,} texts, {len(held):,} held out")
    with published(out, ("model.ngram", "report.json")) as halves:
        model.save(halves / "model.ngram")
        (halves / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return report


def _mixed(text: str) -> bytes:
    """A key that puts texts into an order that has nothing to do with them."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


@lru_cache(maxsize=2)
def _kenlm(path: str, digest: str) -> Any:
    try:
        import kenlm
    except ImportError as error:
        raise ModelError(f"{printable(path)} is a KenLM file, which needs kenlm: pip install 'goldwash[kenlm]'") from error
    config = kenlm.Config()
    config.show_progress, config.arpa_complain = False, kenlm.ARPALoadComplain.NONE  # it would write to stderr
    try:
        return kenlm.Model(path, config)
    except (OSError, RuntimeError) as error:
        why = printable(str(error).splitlines()[-1] if str(error) else error, 200)
        raise ModelError(
            f"{printable(path)} is not a whole KenLM file ({why}): make it again with lmplz or build_binary"
        ) from error
