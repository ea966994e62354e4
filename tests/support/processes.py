"""The command line in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def goldwash(*words: object, cwd: Path, timeout: float = 120, **more: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own; it must succeed unless ``check=False``."""
    done = subprocess.run(
        [sys.executable, "-m", "goldwash", *map(str, words)],
        cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=dict(os.environ),
    )  # fmt: skip
    if more.get("check", True):
        assert done.returncode == 0, f"{words} gave {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done
