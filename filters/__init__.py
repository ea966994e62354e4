"""What a text is like: texts, the kernels that cut and measure them, signals, keeps and edits.

Invariants: imports nothing of classifiers, pipeline and evidence. Importing it declares the signals and edits that come with
goldwash. A filter of your own needs only ``from goldwash.filters import per_text``.
"""

from goldwash.filters import edits, lines, links, ngram_counts, personal_data, phrases, repetition, url, words
from goldwash.filters.signals import Edit, Keep, Signal, edit, per_row, per_text, signal
from goldwash.filters.texts import Texts

__all__ = [
    "Edit", "Keep", "Signal", "Texts", "edit", "edits", "lines", "links", "ngram_counts", "per_row", "per_text",
    "personal_data", "phrases", "repetition", "signal", "url", "words",
]  # fmt: skip
