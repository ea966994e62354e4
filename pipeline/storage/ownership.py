"""Ownership: goldwash writes only to folders that are new, empty or its own, and that do not overlap its inputs. A file that a
command writes replaces none but an earlier one of its kind.
"""

import os
from collections.abc import Collection, Iterable

from goldwash.pipeline.storage.atomic import HALF
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import exists, filesystem, is_local
from goldwash.pipeline.storage.locks import LOCK
from goldwash.pipeline.storage.retry import with_retries

UNMARKED = (LOCK, HALF, ".DS_Store", ".nfs")
"""Prefixes of file names that do not count as somebody's data."""


def check_ours(folder: str, ours: Collection[str], not_ours: Collection[str] = ()) -> None:
    """Refuse a folder that holds files but none of goldwash's marks (``ours``), or the mark of another command (``not_ours``).

    Raises `DataError`, which names some of the files and the cure.
    """
    names = entries(folder)
    others = sorted(set(names) & set(not_ours))
    if others:
        raise DataError(f"{folder} holds the output of another command ({', '.join(others)}): give a new or empty folder")
    if not names or not set(names).isdisjoint(ours):
        return
    found = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    raise DataError(
        f"{folder} holds files that goldwash did not write ({found}), and might be overwritten: give a new or empty folder"
    )


def entries(folder: str) -> list[str]:
    """The names of files and folders in a folder, without goldwash's temporary files; none where there is no folder."""
    fs, path = filesystem(folder)
    try:
        names = os.listdir(path) if is_local(folder) else _listed(fs, path)
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise DataError(f"{folder} is a file: --out names a folder") from error
    return [name for name in names if not name.startswith(UNMARKED)]


def _listed(fs: object, path: str) -> list[str]:
    found = with_retries(lambda: fs.ls(path, detail=False))  # type: ignore[attr-defined]
    return [str(name).rstrip("/").rsplit("/", 1)[-1] for name in found]


def check_apart(out: str, names: Iterable[str], files: Iterable[str]) -> None:
    """Refuse an output folder that is an input, lies inside an input folder, or holds an input.

    ``names``: inputs as the user gave them; ``files``: the files that they stand for.
    """
    place = _canonical(out)
    for name in names:
        folder = _canonical(name)
        if place == folder or (place.startswith(folder + "/") and not os.path.isfile(folder)):
            raise DataError(
                f"--out {out} is {'the same as' if place == folder else 'inside'} the input {name}: choose a "
                "folder apart from it, so that nothing of yours is replaced and the output is never read as input"
            )
    for name in (*names, *files):
        if _canonical(name).startswith(place + "/"):
            raise DataError(
                f"--out {out} is a folder above the input {name}: choose a folder apart from it, so that nothing "
                "of yours is replaced"
            )


def check_file(out: str, endings: tuple[str, ...], names: Iterable[str] = ()) -> None:
    """Refuse a file to write that is a folder, one of the inputs (``names``), or a file of another kind.

    ``endings``: those of the files that the command writes. Raises `DataError`, with the cure.
    """
    if is_local(out) and os.path.isdir(filesystem(out)[1]):
        raise DataError(f"--out {out} is a folder: expected a file, such as {out.rstrip('/')}/NAME{endings[0]}")
    for name in names:
        if _canonical(name) == _canonical(out):
            raise DataError(f"--out {out} is the input {name}: choose another name")
    if exists(out) and not out.lower().endswith(endings):
        raise DataError(
            f"--out {out} is there already, and is no {' or '.join(endings)} file: choose another name, or delete it"
        )


def _canonical(location: str) -> str:
    if not is_local(location):
        return location.rstrip("/")
    return os.path.realpath(os.path.expanduser(filesystem(location)[1])).rstrip("/") or "/"
