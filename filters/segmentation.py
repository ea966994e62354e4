"""How words are cut where there are no spaces between them: by UAX 29, or by ICU's dictionaries.

Invariants: a word is a piece between word boundaries that begins with a letter or a digit. ``spaces`` is the way of all other
texts (`str.split`). ``uax29`` cuts by the rules of UAX 29 alone: an ideograph or a Hiragana letter is a word, Thai, Lao, Khmer
and Burmese fall into clusters of letters. ``icu`` adds ICU's dictionaries of Chinese and Japanese, Thai, Lao, Khmer and
Burmese. It needs the package icu4py, which carries ICU and its data.

Source: https://unicode-org.github.io/icu/userguide/boundaryanalysis/ (ICU chooses the dictionary by script, not by language).
"""

from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.errors import GoldwashError
from goldwash.filters import characters as c
from goldwash.filters.cut import Bytes, Rows

CUTTERS = ("spaces", "uax29", "icu")
"""The ways to cut words, by number."""
SPACES, UAX29, ICU = range(3)

Cutters = npt.NDArray[np.uint8]
"""The way of each text: ``uint8[N]``, indices of `CUTTERS`."""


class SegmentationError(GoldwashError, ImportError):
    """The package icu4py is missing."""


def icu() -> Any:
    """icu4py's ``WordBreaker``; `SegmentationError` where the package is missing."""
    try:
        from icu4py.breakers import WordBreaker
    except ImportError as error:
        raise SegmentationError(
            f"`cut_words: icu` needs the package icu4py ({error}): pip install 'goldwash[languages]'; or use `cut_words: uax29`"
        ) from error
    return WordBreaker


def icu_version() -> str:
    """The versions of icu4py and of the ICU in it, which decide the words."""
    icu()
    import icu4py

    return f"{version('icu4py')}, ICU {icu4py.icu_version}"


def icu_words(utf8: Bytes, starts: Rows, ends: Rows) -> tuple[Rows, Rows, Rows]:
    """ICU's words of texts: their starts and ends, and ``parents: int64[N + 1]``."""
    breaker, classes = icu(), c.classes()
    firsts, lasts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    parents = np.zeros(len(starts) + 1, np.int64)
    for row in range(len(starts)):
        a, z = _words_of(utf8[starts[row] : ends[row]].tobytes(), breaker, classes)
        firsts.append(a + starts[row])
        lasts.append(z + starts[row])
        parents[row + 1] = parents[row] + len(a)
    return np.concatenate(firsts), np.concatenate(lasts), parents


def _words_of(text: bytes, breaker: Any, classes: Any) -> tuple[Rows, Rows]:
    """The bytes at which the words of one text begin and end. ICU counts UTF-16 units."""
    string = text.decode("utf-8")
    points = np.frombuffer(string.encode("utf-32-le"), np.uint32)
    segments = np.fromiter(chain.from_iterable(breaker(string, "en").segments()), np.int64).reshape(-1, 2)
    units = _before(1 + (points > 0xFFFF))
    first, last = np.searchsorted(units, segments[:, 0]), np.searchsorted(units, segments[:, 1])
    words = (classes[points[first]] & c.ALPHANUMERIC) != 0 if len(segments) else np.zeros(0, bool)
    bytes_ = _before(1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF))
    return bytes_[first[words]], bytes_[last[words]]


def _before(sizes: npt.NDArray[Any]) -> Rows:
    """The sum of the sizes before each place, and of all of them."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
