"""What this machine's workers are forked from: imported once, by the fork server, before it forks the first of them.

Law: what workers need is loaded here, so that they share it. That is numba above all: when it loads its first kernel, LLVM
reads 50 MB of its own code and leaves 25 MB behind. A forked worker shares what was made, and code that it does not run itself
is no part of its memory; each further kernel that a worker loads would cost it 10 MB of LLVM's code, so that the kernels of
scoring, of which as many workers run as there are cores, are loaded here too.
"""

import gc

import goldwash.pipeline.engines.local  # noqa: F401
from goldwash.pipeline.stage import compile_kernels
from goldwash.pipeline.stages.quality import Quality

compile_kernels(Quality())
Quality().warm_up()
gc.freeze()  # the collector writes to what it looks at, and a page that is written to is shared no more
