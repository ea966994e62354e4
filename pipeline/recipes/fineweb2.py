"""FineWeb2's published settings of a language as steps of a recipe.

Invariants: every key of a file becomes a step or is refused, so that no setting is silently left out. The files are
``configs/{language}_{script}.yml`` of github.com/huggingface/fineweb-2 (Penedo et al., arXiv 2506.20920); the names of their
thresholds are those of datatrove's filters, of which ``max_non_alpha_words_ratio`` is a minimum of words with a letter.
Words are white-space words here, and ICU's for languages without spaces (a step ``cut_words: icu`` comes first). FineWeb2 cuts
words with a tokenizer per language, which makes tokens of punctuation too.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from goldwash.classifiers.labels import spaceless
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.recipes.reading import read

KEY = "fineweb2"
Step = dict[str, Any]


def _ngrams(kind: str) -> Callable[[Any], list[Step]]:
    return lambda pairs: [{"keep": f"{kind}_{n}gram_character_fraction", "max": most} for n, most in pairs]


def _one(**step: str) -> Callable[[Any], list[Step]]:
    bound = step.pop("bound")
    return lambda value: [{**step, bound: value}]


STEPS: Mapping[str, Callable[[Any], list[Step]]] = {
    "language_score": _one(keep="language_probability", bound="min"),
    "dup_line_frac": _one(keep="duplicate_line_fraction", bound="max"),
    "dup_para_frac": _one(keep="duplicate_paragraph_fraction", bound="max"),
    "dup_line_char_frac": _one(keep="duplicate_line_character_fraction", bound="max"),
    "dup_para_char_frac": _one(keep="duplicate_paragraph_character_fraction", bound="max"),
    "top_n_grams": _ngrams("top"),
    "dup_n_grams": _ngrams("duplicate"),
    "min_avg_word_length": _one(keep="mean_word_length", bound="min"),
    "max_avg_word_length": _one(keep="mean_word_length", bound="max"),
    "max_non_alpha_words_ratio": lambda least: [{"keep": "nonalphabetic_word_fraction", "max": round(1 - least, 9)}],
    "stopwords": lambda words: [{"keep": "distinct_stop_word_count", "words": [str(w) for w in words], "min": 2}],
    "line_punct_thr": _one(keep="terminal_line_fraction", bound="min"),
    "short_line_thr": _one(keep="short_line_fraction", bound="max"),
    "char_duplicates_ratio": lambda most: [
        {"keep": "duplicate_line_character_fraction", "as": "duplicate_line_character_fraction_again", "max": most}
    ],
    "new_line_ratio": _one(keep="newline_word_ratio", bound="max"),
}
"""The steps of each setting, in the order of datatrove's filters: language, repetition, Gopher's quality, FineWeb's quality."""


def expanded(steps: Any) -> Any:
    """A recipe's steps, with each ``{fineweb2: FILE, for: [LANGUAGE]}`` replaced by the steps of that file."""
    if not isinstance(steps, list | tuple):
        return steps
    found: list[Any] = []
    for step in steps:
        found += _of_file(dict(step)) if isinstance(step, Mapping) and KEY in step else [step]
    return found


def _of_file(step: dict[str, Any]) -> list[Step]:
    path = Path(str(step.pop(KEY))).expanduser()
    if set(step) != {"for"}:
        raise RecipeError(
            f"{KEY} {path}: give `for: [LANGUAGE]` with it, as the labels of `label: language` are, and nothing else"
        )
    values, _ = read(path)
    names = step["for"] if isinstance(step["for"], list | tuple) else []
    cut = [str(name) for name in names if spaceless(str(name))]
    found = [{"cut_words": "icu", "for": cut}] if cut else []
    return [*found, *({**made, "for": step["for"]} for made in steps_of(values, str(path)))]


def steps_of(values: Any, place: str) -> list[Step]:
    """The steps of a file's values; `RecipeError` for a key that is unknown or a value that is no threshold."""
    if not isinstance(values, Mapping):
        raise RecipeError(f"{place}: expected FineWeb2's settings as a mapping, found {type(values).__name__}")
    for key in values:
        if key not in STEPS:
            raise RecipeError(f"{place}: no setting of FineWeb2 is called {key!r}: {nearest(str(key), list(STEPS))}")
    found: list[Step] = []
    for key, make in STEPS.items():
        if key in values:
            try:
                found += make(values[key])
            except (TypeError, ValueError) as error:
                raise RecipeError(f"{place}: {key} is {values[key]!r}; {error}") from error
    lengths = [step for step in found if step["keep"] == "mean_word_length"]
    if len(lengths) == 2:
        lengths[0] |= lengths[1]
        found.remove(lengths[1])
    return found
