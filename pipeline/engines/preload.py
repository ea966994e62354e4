"""Preloaded by the fork server, so that local workers share imports and compiled kernels copy-on-write.

Invariants: modules and kernels that workers need are loaded here. That is numba above all: when it loads its first kernel,
LLVM reads 50 MB of its own code and leaves 25 MB behind, and each further kernel that a worker loads itself would cost it 10
MB of LLVM's code. Hence the kernels of scoring, of which as many workers run as there are processors, are loaded here too, if
they are compiled.

Ctrl-C is left to the driver (`lifeline`). The driver starts the server with Ctrl-C blocked (`workers`); from here on the server
ignores it. Any other process that imports this module keeps its own handling of Ctrl-C.
"""

import gc
import signal

if signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

import goldwash.pipeline.engines.local  # noqa: F401
from goldwash.filters.jit import is_compiled
from goldwash.pipeline.stages.quality import Quality

if is_compiled(Quality.name, Quality().fingerprint(())):  # else this process would compile, and each worker wait for it
    Quality().warm_up()
gc.freeze()  # the collector writes to the objects that it visits, and a page that is written to is no longer shared
