"""Errors as sentences: what the user reads when a command fails.

Invariants: no traceback unless ``--debug`` asks for it.
"""

import errno

from goldwash.errors import GoldwashError
from goldwash.text_output import printable_lines, without_password

CURES = {
    errno.ENOSPC: "free some space, then give the same command again: finished work is kept",
    errno.EDQUOT: "free some space, then give the same command again: finished work is kept",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or give fewer --workers",
    errno.ENFILE: "raise the limit of open files (ulimit -n), or give fewer --workers",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EIO: "check the disk or the network mount, then give the same command again",
    errno.ESTALE: "check the network mount, then give the same command again",
}


def sentence(error: BaseException) -> str:
    """An error as the user reads it, escaped and without passwords."""
    if is_known(error):
        text = str(error)
    elif isinstance(error, OSError):
        text = _os_error(error)
    else:
        text = (
            f"{type(error).__name__}: {error or 'no message'}{_place(error)}. This is a bug in goldwash: please report it, "
            "with what `--debug` prints"
        )
    return printable_lines(without_password(text))


def is_known(error: BaseException) -> bool:
    """Whether the error is one of ours, with a message for users."""
    return isinstance(error, GoldwashError)


def _os_error(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    place = f"{_name(error.filename)}: " if error.filename is not None else ""
    if error.filename2 is not None:
        place = f"{_name(error.filename)}, {_name(error.filename2)}: "
    cure = CURES.get(error.errno or 0, "")
    return f"{place}{what}{': ' if cure else ''}{cure}"


def _name(path: object) -> str:
    return path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else str(path)


def _place(error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})" if frame is not None else ""
