"""What a text is like: texts, the kernels that cut and measure them, signals, keeps and edits.

Law: imports nothing of classifiers and pipeline. ``from filters import per_text`` is all that a scientist's own filter needs.
"""

from filters.signal import Edit, Keep, Signal, edit, per_text, signal
from filters.texts import Texts

__all__ = ["Edit", "Keep", "Signal", "Texts", "edit", "per_text", "signal"]
