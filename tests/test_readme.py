"""README's ``sh`` blocks, in their order, in a folder of their own; lines marked ``# needs the network`` are left out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
NETWORK = "# needs the network"


def blocks() -> list[str]:
    if not README.is_file():
        return []
    found = re.findall(r"^```sh\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return ["".join(line for line in block.splitlines(keepends=True) if NETWORK not in line) for block in found]


def test_the_blocks_run(tmp_path: Path) -> None:
    commands = blocks()
    if not commands:
        pytest.skip("no README.md with sh blocks")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in commands:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=1200, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
