"""End a worker when its driver ends, for whatever reason: ``kill -9``, out of memory, a closed terminal.

Invariants: the other end of a pipe, its lifeline, is open in the driver alone, and nothing is ever sent through it. When it
closes, Linux kills the worker, even inside C code that holds the interpreter's lock; elsewhere a thread does.
Ctrl-C is left to the driver, which ends its workers. (PR_SET_PDEATHSIG, a signal at the
parent's death, does not help: a worker's parent is the fork server, which lives as long as its workers.)
"""

import fcntl
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection, wait


def die_with(lifeline: Connection) -> None:
    """End this process when the other end of a pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        # without a thread: a worker forks. SIGIO, unless it is handled, ends a process (signal(7))
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(lifeline.fileno(), fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(lifeline.fileno(), fcntl.F_GETFL)
        fcntl.fcntl(lifeline.fileno(), fcntl.F_SETFL, flags | os.O_ASYNC)
        if lifeline.poll():  # closed before the kernel was asked
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(lifeline,), daemon=True, name="lifeline").start()


def _watch(lifeline: Connection) -> None:
    wait([lifeline])
    os.kill(os.getpid(), signal.SIGKILL)
