"""The language of a text, by fastText's lid.176 (Joulin et al., arXiv 1607.01759).

Invariants: the label with the highest probability, and that probability; "" and 0 for a text that is only ASCII punctuation and
spaces, as in the reference. fastText reads one line, so newlines become spaces. The reference deletes them, which glues the
last word of a line to the first of the next (``newlines=""``).
"""

import hashlib
import string
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.fasttext import ModelError
from goldwash.classifiers.loader import load
from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.fetch import fetched
from goldwash.filters.jit import kernel
from goldwash.filters.texts import Texts

DEFAULT = "lid.176.ftz"
"""The compressed model, of 0.9 MB, which comes with goldwash (``classifiers/models``, CC BY-SA 3.0)."""

PUBLISHED = {
    "lid.176.ftz": (
        "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz",
        "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
    ),
    "lid.176.bin": (
        "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.bin",
        "7e69ec5451bc261cc7844e49e4792a85d7f09c06789ec800fc4a44aec362764e",
    ),
}
"""The URLs of the published models, and their SHA-256."""


@cache
def located(model: str) -> Path:
    """The file of a model: the one that comes with goldwash, one fetched by name, or a path or URL of the user's."""
    if model == DEFAULT and (carried := _carried()):
        return carried
    if model in PUBLISHED:
        url, digest = PUBLISHED[model]
        return fetched(url, digest)
    return fetched(model)


def _carried() -> Path | None:
    path = Path(__file__).parent / "models" / DEFAULT
    whole = path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == PUBLISHED[DEFAULT][1]
    return path if whole else None


def likeliest(texts: Texts, model: str = DEFAULT, newlines: str = " ") -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    """Each text's likeliest language (ISO 639) and its probability: ``str[N]``, ``float64[N]``; "" and 0 for an empty text."""
    if newlines not in ("", " "):
        raise ModelError(f"newlines is {newlines!r}: expected '' (deleted, as the reference) or ' '")
    labels, probabilities = load(located(model)).likeliest(texts, newlines)
    silent = np.asarray(silences(texts.utf8, texts.starts, texts.ends, _silent_bytes()))
    return np.where(silent, "", labels), np.where(silent, 0.0, probabilities)


@cache
def _silent_bytes() -> Bytes:
    table = np.zeros(256, np.uint8)
    table[[ord(c) for c in string.punctuation + " "]] = 1
    table.flags.writeable = False
    return table


@kernel
def silences(utf8: Bytes, starts: Rows, ends: Rows, silent: Bytes) -> Any:
    """Whether each text has silent bytes alone: ``bool[N]``; true for an empty text."""
    out = np.ones(len(starts), np.bool_)
    for row in range(len(starts)):
        for i in range(starts[row], ends[row]):
            if not silent[utf8[i]]:
                out[row] = False
                break
    return out
