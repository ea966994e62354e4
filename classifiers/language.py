"""Which language a text is in: fastText's lid.176 (Joulin et al., arXiv 1607.01759).

Law: the label of the highest probability and that probability; "" and 0 for a text of ASCII punctuation and spaces alone, as
the reference has it. fastText takes one line, so newlines become spaces; the reference deletes them, which glues the last
word of a line to the first of the next (``newlines=""``).
"""

import hashlib
import string
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.fasttext import Folded, ModelError, Reader, Whole, load
from goldwash.classifiers.subwords import Subwords, can_read, read
from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.jit import kernel
from goldwash.filters.texts import Texts

DEFAULT = "lid.176.ftz"
"""The compressed model, 0.9 MB, which comes with goldwash (``classifiers/models``, CC BY-SA 3.0)."""

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
"""Where the models are published, and their SHA-256."""


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
    """Each text's likeliest language (ISO 639) and its probability: ``str[N]``, ``float64[N]``."""
    if newlines not in ("", " "):
        raise ModelError(f"newlines is {newlines!r}: expected '' (deleted, as the reference) or ' '")
    path = located(model)
    known = _subwords(str(path), file_digest(path))
    if known is not None:
        best, probabilities = known.likeliest(texts, newlines)
        labels = np.array([*known.labels, ""])[best]
    else:
        labels, probabilities = _likeliest_by_fasttext(texts, path, newlines)
    silent = np.asarray(silences(texts.utf8, texts.starts, texts.ends, _silent_bytes()))
    return np.where(silent, "", labels), np.where(silent, 0.0, probabilities)


@cache
def _subwords(path: str, digest: str) -> Subwords | None:
    """The model for our kernels; None where it is of a kind that they do not know."""
    with open(path, "rb") as file:
        head = Reader(file, path)
        if not can_read(head):
            return None
        whole = load(path)
        assert isinstance(whole, Whole)
        return read(path, head, whole.native)


def _likeliest_by_fasttext(texts: Texts, path: Path, newlines: str) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    loaded = load(path)
    if isinstance(loaded, Folded):
        second = loaded.probability(texts, loaded.labels[1])
        return np.where(second > 0.5, loaded.labels[1], loaded.labels[0]), np.where(second > 0.5, second, 1 - second)
    labels, probabilities = loaded.likeliest(texts, lambda text: text.replace("\n", newlines))
    return np.array(labels, np.str_), probabilities


@cache
def _silent_bytes() -> Bytes:
    table = np.zeros(256, np.uint8)
    table[[ord(c) for c in string.punctuation + " "]] = 1
    table.flags.writeable = False
    return table


@kernel
def silences(utf8: Bytes, starts: Rows, ends: Rows, silent: Bytes) -> Any:
    """Whether each text has nothing but silent bytes: ``bool[N]``; true for an empty one."""
    out = np.ones(len(starts), np.bool_)
    for row in range(len(starts)):
        for i in range(starts[row], ends[row]):
            if not silent[utf8[i]]:
                out[row] = False
                break
    return out
