"""``python -m tests.pythons [VERSION...]``: install the wheel with each Python found, and run the sample recipe offline.

Pythons are looked for on the PATH, in pyenv's folder and in uv's. 3.13 and newer compile fastText, which takes minutes. The
documents that are left after the stage bloom must be the same with all. (The sample crawl has pages made of Python's own
documentation, and the toy classifier is trained on such: one crawl serves all versions, and what quality keeps may differ.)
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def pythons() -> dict[str, str]:
    """An interpreter of each version that is here, by version."""
    found: dict[str, str] = {}
    places = [Path(p) for p in os.environ.get("PATH", "").split(os.pathsep)]
    places += sorted(Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob("versions/*/bin"), reverse=True)
    places += sorted(Path("~/.local/share/uv/python").expanduser().glob("*/bin"), reverse=True)
    for version in VERSIONS:
        for place in places:
            python = place / f"python{version}"
            if version not in found and python.is_file():
                code = "import sys, venv, ensurepip, ctypes, sqlite3, lzma; print('%d.%d' % sys.version_info[:2])"
                said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
                if said.returncode == 0 and said.stdout.strip() == version:
                    found[version] = str(python)
    return found


def call(*words: object, cwd: Path, offline: bool = False) -> None:
    """Run a command; its output is shown where it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if offline:
        environment |= {"HF_HUB_OFFLINE": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def documents(run: Path) -> str:
    """A digest of the documents after bloom (Parquet's bytes depend on pyarrow's version)."""
    rows = [pq.read_table(file, columns=["id", "text"]).to_pylist() for file in sorted(run.glob("*-bloom-*/part-*.parquet"))]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def main() -> None:
    """Build, install, run, compare."""
    asked = sys.argv[1:] or VERSIONS
    found = {version: python for version, python in pythons().items() if version in asked}
    sys.stdout.write(f"found: {', '.join(f'{v} ({p})' for v, p in found.items()) or 'none'}\n")
    digests: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
        (wheel,) = folder.glob("goldwash-*.whl")
        call(sys.executable, "-m", "goldwash", "sample", "crawl", cwd=folder)
        for version, python in found.items():
            place = folder / version
            call(python, "-m", "venv", place / "venv", cwd=folder)
            call(place / "venv/bin/python", "-m", "pip", "install", "--quiet", "--prefer-binary", wheel, cwd=place)
            goldwash = place / "venv/bin/goldwash"
            call(
                goldwash,
                "run",
                "sample",
                "--input",
                folder / "crawl" / "crawl",
                "--out",
                "run",
                "--workers",
                2,
                cwd=place,
                offline=True,
            )
            digests[version] = documents(place / "run")
            sys.stdout.write(f"{version}: the sample runs; its documents are {digests[version]}\n")
            sys.stdout.flush()
    if len(set(digests.values())) != 1:
        raise SystemExit(f"the documents differ, or no Python was found: {digests}")


if __name__ == "__main__":
    main()
