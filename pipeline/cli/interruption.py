"""Ctrl-C and SIGTERM: what is kept, how to go on, and the exit code that shells expect (130, 143).

Invariants:

* The first module that the command line imports; imports the standard library only, so that a signal in the first second finds
  the handler.
* A signal during the imports ends the process at once: nothing has begun. A later one raises `KeyboardInterrupt` in the main
  thread, so that engines stop their workers and temporary files are removed; `end` then writes the message.
* A child that was forked from this process does not inherit the behaviour: there the signal has its default action.
* A signal that was ignored when the process started (``nohup``, a background job) stays ignored.
"""

import os
import signal
import sys
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_PATIENCE = 3
"""The signal, counted from 1, at which the process ends at once, even while it cleans up."""


class _State:
    owner = 0
    starting = True
    received = 0
    count = 0
    kept = ""


def watch() -> None:
    """Handle both signals from now on; without effect outside the main thread."""
    _State.owner = os.getpid()
    for number in _NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _received)


def started() -> None:
    """The imports are done: from now on a signal unwinds the stack."""
    _State.starting = False


def keeps(message: str) -> None:
    """Set the sentence on what a signal leaves behind from now on, and how to go on."""
    _State.kept = message


def keeps_work(folder: str) -> None:
    """Say that finished work in a folder is kept."""
    keeps(f"Finished work in {folder} is kept: give the same command again to go on from there.")


def received() -> int:
    """The number of the signal that stopped the process; 0 if none did."""
    return _State.received


def end() -> int:
    """Write what is kept and how to go on; the exit code."""
    name = _NAMES.get(signal.Signals(_State.received), "a signal")
    _write(f"goldwash: stopped by {name}. {_State.kept or 'Nothing was left half written.'}")
    return 128 + _State.received


def _received(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.owner:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    _State.received = number
    _State.count += 1
    if _State.starting or _State.count >= _PATIENCE:
        if _State.starting:
            _State.kept = "Nothing had begun."
        os._exit(end())
    raise KeyboardInterrupt


def _write(line: str) -> None:
    """To standard error by its number: a stream may be in the middle of a write."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    try:
        os.write(2, f"\n{line}\n".encode(encoding, "backslashreplace"))
    except OSError:
        return
