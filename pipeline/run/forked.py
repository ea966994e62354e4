"""What this machine's workers are forked from: imported once, by the fork server, before it forks the first of them.

Law: what every worker needs is loaded here, so that workers share it; what only some need is not. A kernel is loaded, too:
numba then sets itself to work, for which LLVM reads 50 MB of its code and leaves 25 MB behind. A forked worker has what was
made, ready, and shares it; code that it does not run itself is no part of its memory.
"""

import gc

import pipeline.run.local  # noqa: F401
from filters.jit import rehearse
from filters.texts import Texts


def load() -> None:
    """Load a kernel, and numba with it."""
    assert len(Texts.of(["a line"]).lines) == 1


rehearse("workers", "lines", load)
load()
gc.freeze()  # the collector writes to what it looks at, and a page that is written to is shared no more
