"""The Python examples of the documentation run, file by file, in a process of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = {
    str(file.relative_to(ROOT)): PYTHON.findall(file.read_text("utf-8"))
    for file in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
FILES = [
    pytest.param(name, marks=pytest.mark.slow) if any("goldwash.run(" in block for block in blocks) else name
    for name, blocks in BLOCKS.items()
    if blocks
]


def test_there_are_examples() -> None:
    assert len(BLOCKS["docs/python.md"]) >= 6
    assert BLOCKS["README.md"]
    assert PYTHON.findall("a\n```python\nx = 1\n```\n```sh\nls\n```\n") == ["x = 1\n"]


@pytest.mark.parametrize("name", FILES)
def test_the_examples_run(name: str, tmp_path: Path) -> None:
    code = "\n".join(BLOCKS[name])
    if "crawl/" in code:
        subprocess.run([sys.executable, "-m", "goldwash", "sample", "crawl"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "my-documents").mkdir()
    (tmp_path / "example.py").write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "example.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, f"{name}\n{done.stderr[-3000:]}"
