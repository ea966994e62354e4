"""Classifiers by file: which kind a file is, and the object that scores with it.

Invariants: `KINDS` is the only list of kinds; whoever holds a `Model` need not know which one it is.
"""

import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from goldwash.classifiers.fasttext import Model, ModelError, Quantised, Reader, fold, load_fold, native
from goldwash.classifiers.model_file import SUPERVISED
from goldwash.classifiers.subwords import subword_model
from goldwash.filters.fetch import file_digest
from goldwash.text_output import printable


def load(path: str | Path) -> Model:
    """The classifier in a file: a fold, or a fastText ``.bin`` or ``.ftz``; loaded once per process for the same bytes.

    Raises `ModelError` if the file is missing, is not a whole model, or holds word vectors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"no model at {printable(path)}: give the path of a fastText .bin or .ftz, or of a .fold")
    return _load(str(path), file_digest(path), path.stat().st_ino)


@lru_cache(maxsize=8)
def _load(path: str, digest: str, inode: int) -> Model:
    # A fold is mapped from its file. A file that replaced it is mapped anew, even with the same bytes: the old one may be
    # cut off, and reading beyond its end kills the process (SIGBUS).
    for kind in KINDS:
        model = kind(path)
        if model is not None:
            return model
    raise AssertionError("the last kind takes every file or raises")


def _fold(path: str) -> Model | None:
    return load_fold(path) if zipfile.is_zipfile(path) else None


def _foldable(path: str) -> Model | None:
    with Reader(path) as head:
        if head.arguments["model"] != SUPERVISED:
            raise ModelError(
                f"{head.shown} holds word vectors, not a classifier: it has no labels to score by; give a supervised model"
            )
        foldable = head.foldable()
    try:
        return fold(path) if foldable else None
    except Quantised:
        return None


KINDS: tuple[Callable[[str], Model | None], ...] = (_fold, _foldable, subword_model, native)
"""Each returns the model of a file, or None if the file is of another kind; the first that answers is taken."""
