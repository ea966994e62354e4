"""A process that ends with the process it works for, however that ends: ``kill -9``, out of memory, a closed terminal.

Invariants: where the kernel can do it (Linux) it kills the process together with its parent, even while that runs C code;
elsewhere a thread waits for the end of a pipe. Ctrl-C is left to the driver, which ends its workers.
"""

import ctypes
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection, wait

SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def die_with_parent(lifeline: Connection) -> None:
    """End this process when its parent ends. ``lifeline``: a pipe whose other end only the driver holds, for other kernels.

    A worker's parent is the fork server, which ends with the driver. A thread in a worker is avoided where it can be: workers
    fork.
    """
    parent = os.getppid()
    if not _asked_kernel():
        die_with(lifeline)
    elif os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def die_with(lifeline: Connection) -> None:
    """End this process when the other end of a pipe is closed, through which nothing is ever sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(lifeline,), daemon=True, name="lifeline").start()


def _asked_kernel() -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _watch(lifeline: Connection) -> None:
    wait([lifeline])
    os.kill(os.getpid(), signal.SIGKILL)
