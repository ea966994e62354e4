"""Similarity to target texts: how near a document is to the nearest of the texts that a model shall do well on.

Invariants:

- The score is the largest cosine between the document's embedding and a target's. It is the first half of BETR (arXiv
  2507.12466), which then trains a classifier on such scores; here every document is compared.
- Targets are *training* examples of benchmarks. `train_targets` leaves out each text that quotes a benchmark of which the user
  wants a fair result, and says how many it left out; without a benchmark's name nothing is checked, and the report says so.
- The file holds the targets' vectors and the embedding's name, and none of their text.
"""

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.addresses import no_label
from goldwash.classifiers.embeddings import CHARACTERS, Embedding, Vectors, embedded, embedding, lasting
from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.train import Exclude, excluded, published
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

BATCH = 1000


@dataclass(frozen=True, eq=False)
class Targets:
    """Vectors of target texts as a measure (`goldwash.classifiers.measures`)."""

    features: str
    vectors: Vectors
    characters: int
    digest: str = ""
    file_name = "model.targets"

    @cached_property
    def embedding(self) -> Embedding:
        """The embedding; `ModelError` if it has another dimension than the targets' vectors."""
        made = embedding(self.features)
        if made.dimension != self.vectors.shape[1]:
            raise ModelError(
                f"the targets have {self.vectors.shape[1]} numbers each, and the embedding {printable(self.features)} has "
                f"{made.dimension}: use the version of it that the targets were made with, or make them again"
            )
        return made

    def measure(self, texts: Texts, table: Any) -> npt.NDArray[np.float64]:
        """The cosine with the nearest target: ``float64[N]``; nan for a text without a known token."""
        vectors = embedded(self.embedding, texts, self.characters)
        found = np.full(len(texts), -np.inf)
        for k in range(0, len(self.vectors), BATCH):
            found = np.maximum(found, (vectors @ self.vectors[k : k + BATCH].T).max(axis=1))
        found[~vectors.any(axis=1)] = np.nan
        return found.astype(np.float64)

    def versions(self) -> dict[str, str]:
        """The digest of the file, and the versions of the embedding."""
        return {"targets": self.digest, **self.embedding.versions()}

    def save(self, path: str | Path) -> None:
        """Write the file from which `targets` reads the same."""
        facts = json.dumps({"goldwash": "targets", "features": self.features, "characters": self.characters})
        with open(path, "wb") as file:
            np.savez(file, vectors=self.vectors, facts=np.array(facts))


def targets(address: str, label: str | None) -> Targets:
    """The measure ``target:ADDRESS``; `ModelError` if the file is missing, broken, or of another embedding."""
    no_label("target", label)
    path = fetched(address)
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            facts, vectors = json.loads(str(file["facts"])), np.asarray(file["vectors"], np.float32)
        made = Targets(str(facts["features"]), vectors, int(facts["characters"]), file_digest(path))
        if facts["goldwash"] != "targets" or vectors.ndim != 2 or not len(vectors):
            raise ValueError(f"an array of shape {vectors.shape}")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{printable(path)} is not a whole file of targets ({printable(error)}): make it with `goldwash train --kind "
            "target`"
        ) from error
    _ = made.embedding
    return made


def train_targets(
    examples: Sequence[Example],
    features: str,
    out: str | Path,
    characters: int = CHARACTERS,
    notify: Callable[[str], None] = lambda _: None,
    exclude: Exclude | None = None,
) -> dict[str, Any]:
    """Embed target texts into ``model.targets`` in the folder ``out``; returns the report, which ``report.json`` has too.

    ``exclude`` returns ``bool[N]``: texts that must not be targets, such as those that quote a benchmark's questions. Raises
    `TrainingError` if no text is left.
    """
    model = embedding(features)
    unique = list({e.text: e for e in sorted(examples, key=lambda e: (e.text, e.origin, e.source))}.values())
    quoting = excluded([e.text for e in unique], exclude)
    left_out = sum(quoting)
    allowed = [e for e, quotes in zip(unique, quoting, strict=True) if not quotes]
    kept, vectors = list[Example](), [np.zeros((0, model.dimension), np.float32)]
    for k in range(0, len(allowed), BATCH):
        some = allowed[k : k + BATCH]
        made = embedded(model, Texts.of([e.text for e in some]), characters)
        known = np.asarray(made.any(axis=1))
        vectors.append(made[known])
        kept += [some[n] for n in np.flatnonzero(known)]
    if not kept:
        raise TrainingError(
            f"no target is left of {len(unique):,} texts: {left_out:,} quote a benchmark, {len(allowed):,} have no word that "
            "the embedding knows; give other texts"
        )
    wordless = len(allowed) - len(kept)
    warnings = [] if exclude is not None else [
        "no benchmarks were named: nothing checks that targets are not test questions; name them with --benchmarks"
    ]  # fmt: skip
    features = lasting(features)
    report = {
        "features": features,
        "embedding": model.versions(),
        "targets": len(kept),
        "excluded": left_out,
        "wordless": wordless,
        "sources": {o: sum(e.origin == o for e in kept) for o in sorted({e.origin for e in kept})},
        "warnings": warnings,
    }
    notify(
        f"{len(kept):,} targets; left out: {left_out:,} that quote a benchmark, {wordless:,} without a word that the embedding "
        "knows"
    )
    with published(out, ("model.targets", "report.json")) as halves:
        Targets(features, np.concatenate(vectors), characters).save(halves / "model.targets")
        (halves / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return report
