"""Names of languages in the two forms that models give: ``de`` (lid.176) and ``deu_Latn`` (GlotLID, FineWeb2).

Invariants:

- A name means a label if they are equal. It also does if both are the same language, one of them has a script, and the other
  has the same one or none: ``en`` means ``eng_Latn``, ``zho_Hani`` means ``zh`` and ``cmn_Hani``, and ``sr`` means ``srp_Latn``
  and ``srp_Cyrl``.
- Two names without a script mean each other only if they are equal, so that nothing changes for lid.176.
- A macrolanguage and its usual member are the same (``zh`` and ``cmn``, ``ar`` and ``arb``), as CLDR has them.

Codes are read by langcodes (ISO 639 and CLDR's aliases). lid.176's labels are the codes of Wikipedias, of which three are other
codes in ISO 639 (`WIKIPEDIAS`).
"""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

FORM = re.compile(r"([A-Za-z]{2,3})[_-]([A-Za-z]{4})")
WIKIPEDIAS = {"als": "gsw", "bh": "bho", "eml": "egl"}
"""Labels of lid.176 that mean another language in ISO 639: Alemannic, Bihari (mostly Bhojpuri), Emilian."""
SAME = {"nb": "no"}
"""Norwegian labelled ``no`` is Bokmål."""
SPACELESS_SCRIPTS = frozenset({"hani", "hans", "hant", "jpan", "hira", "kana", "thai", "khmr", "laoo", "mymr"})
SPACELESS = frozenset({"zh", "yue", "wuu", "ja", "th", "km", "lo", "my"})
"""Languages that are written without spaces between words, of those that lid.176 knows."""


def matching(labels: npt.NDArray[np.str_], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each label is one that a name means: ``bool[N]``."""
    found, places = np.unique(labels.astype(np.str_), return_inverse=True)
    return np.array([any(means(name, str(label)) for name in names) for label in found], np.bool_)[places]


@cache
def means(name: str, label: str) -> bool:
    """Whether a name means a label.

    >>> means("en", "eng_Latn"), means("zho_Hani", "zh"), means("srp_Latn", "srp_Cyrl"), means("als_Latn", "als")
    (True, True, False, False)
    """
    if name == label:
        return True
    if not has_script(name) and not has_script(label):
        return False
    one, other = _parted(name), _parted(label)
    if not (one and other) or one[0] != other[0]:
        return False
    return not (one[1] and other[1]) or one[1] == other[1]


def has_script(name: str) -> bool:
    """Whether a name has the form ``deu_Latn``."""
    return FORM.fullmatch(name) is not None


@cache
def _parted(name: str) -> tuple[str, str] | None:
    """A name's language, in one code for both forms, and its script in small letters; None for any other name."""
    form = FORM.fullmatch(name)
    code = form[1] if form else name
    if not re.fullmatch(r"[A-Za-z]{2,3}", code):
        return None
    code = code.lower() if form else WIKIPEDIAS.get(code, code.lower())
    from langcodes import Language  # here: baseline has no use for it

    language = Language.get(code).prefer_macrolanguage().language or code
    return SAME.get(language, language), form[2].lower() if form else ""


def spaceless(name: str) -> bool:
    """Whether a language is written without spaces between words.

    >>> spaceless("zh"), spaceless("tha_Thai"), spaceless("de"), spaceless("kor_Hang")
    (True, True, False, False)
    """
    form = FORM.fullmatch(name)
    return form[2].lower() in SPACELESS_SCRIPTS if form else name in SPACELESS
