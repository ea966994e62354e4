"""Uploading a dataset to the Hugging Face Hub, or to another server that answers like it.

Invariants: only a finished dataset is uploaded, each shard with the digest that its report names. Shards go up first, and the
card, metadata, recipe and report come with the commit that names them, so that nobody sees half a dataset: one commit for up to
`COMMIT_FILES` files. A shard that is there already, with the same digest, is not sent again; shards of an earlier upload that
the dataset no longer has are removed. Nothing else in the repository is touched, but a card that its owner has edited is kept.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from goldwash import __version__
from goldwash.pipeline.dataset import DATASET, RECIPE, REPORT, UNFINISHED
from goldwash.pipeline.export.card import Dataset, card
from goldwash.pipeline.export.croissant import metadata
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import check_unchanged
from goldwash.pipeline.storage.locations import exists, filesystem, is_local, join, read_text
from goldwash.pipeline.storage.sealed import read_sealed
from goldwash.pipeline.storage.source import Input
from goldwash.text_output import printable

TARGET = re.compile(r"hf://(?:datasets/)?(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/?")
MARK = "<!-- goldwash -->"
"""In cards of ours; a card on the Hub without it is its owner's."""

DATA = "data"
FOLDER_FILES = 5_000
"""Shards per folder of the repository; the Hub allows 10,000 files."""

COMMIT_FILES = 1_000
BATCH = 20
"""Shards that are sent between two lines of progress."""

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Upload:
    """A dataset and where it goes: ``files`` maps names in the repository to shards."""

    folder: str
    repo: str
    report: dict[str, Any]
    files: dict[str, Input]
    dataset: Dataset


def pushed(
    run: str,
    target: str,
    private: bool = False,
    branch: str | None = None,
    endpoint: str | None = None,
    notify: Notify = lambda _: None,
) -> str:
    """Upload the dataset of a run; returns its address.

    Raises `RecipeError` where ``target`` is no repository, `DataError` where the run has no dataset or the server refuses.
    """
    found = TARGET.fullmatch(target)
    if found is None:
        raise RecipeError(f"{printable(target, 200)}: expected hf://OWNER/NAME, a dataset repository of the Hub")
    api = HfApi(endpoint=endpoint, library_name="goldwash", library_version=__version__)
    upload = _upload(run, found["repo"])
    quiet = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with _in_plain_words(api, upload.repo):
            url = str(api.create_repo(upload.repo, repo_type="dataset", private=private, exist_ok=True))
            if branch is not None:
                api.create_branch(upload.repo, repo_type="dataset", branch=branch, exist_ok=True)
            _send(api, upload, branch, url, notify)
    finally:
        if not quiet:
            enable_progress_bars()
    return url


@contextmanager
def _in_plain_words(api: HfApi, repo: str) -> Iterator[None]:
    """Turns what the Hub's client raises into a `DataError` with the cause and the cure."""
    try:
        yield
    except HfHubHTTPError as error:
        refused = getattr(error.response, "status_code", 0) in (401, 403)
        cure = "log in with `hf auth login`, or give a token with the right to write in $HF_TOKEN"
        cure = cure if refused else "give the same command again; what has arrived is not sent again"
        raise DataError(f"{api.endpoint} refused the upload to {repo}: {printable(error, 500)}; {cure}") from error
    except (OSError, RuntimeError) as error:
        raise _failed(api, repo, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0].startswith("httpx"):  # the client's own transport
            raise _failed(api, repo, error) from error
        raise


def _failed(api: HfApi, repo: str, error: Exception) -> DataError:
    why = printable(error.__cause__ or error, 300)
    return DataError(
        f"the upload to {repo} at {api.endpoint} broke off: {why}; what has arrived stays there: give the same command again"
    )


def _upload(run: str, repo: str) -> Upload:
    folder = run.rstrip("/") if exists(join(run, REPORT)) else join(run, DATASET)
    report = read_sealed(join(folder, REPORT))
    if report is None or exists(join(folder, UNFINISHED)):
        raise DataError(f"{run} has no finished dataset: it has no {DATASET}/{REPORT}; let the run finish first")
    shards = [Input(join(folder, f), s["bytes"], s["sha256"], s["rows"], f) for f, s in sorted(report["shards"].items())]
    many = len(shards) > FOLDER_FILES
    names = [f"{DATA}/{n // FOLDER_FILES:04d}/{s.name}" if many else f"{DATA}/{s.name}" for n, s in enumerate(shards)]
    schema = schema_of(shards[0]) if shards else None
    pattern = f"{DATA}/**/*.parquet" if many else f"{DATA}/*.parquet"
    described = Dataset(repo.rpartition("/")[2], report, read_text(join(folder, RECIPE)), schema, pattern, repo)
    return Upload(folder, repo, report, dict(zip(names, shards, strict=True)), described)


def _send(api: HfApi, upload: Upload, branch: str | None, url: str, notify: Notify) -> None:
    held = _held(api, upload.repo, branch)
    new = {name: shard for name, shard in upload.files.items() if held.get(name) != shard.sha256}
    if len(new) < len(upload.files):
        notify(f"{len(upload.files) - len(new):,} of {len(upload.files):,} shards are there already")
    gone = [name for name in held if name.startswith(f"{DATA}/") and name.endswith(".parquet") and name not in upload.files]
    names = list(new)
    for first in range(0, len(names), COMMIT_FILES):
        some = names[first : first + COMMIT_FILES]
        last = first + COMMIT_FILES >= len(names)
        with _local(new[name] for name in some) as paths:
            adds = [CommitOperationAdd(name, path) for name, path in zip(some, paths, strict=True)]
            for start in range(0, len(adds), BATCH):
                api.preupload_lfs_files(
                    upload.repo, adds[start : start + BATCH], repo_type="dataset", revision=branch, free_memory=False
                )
                notify(f"{first + min(start + BATCH, len(adds)):,} of {len(names):,} shards sent")
            _commit(api, upload, branch, [*adds, *(_side(api, upload, branch, held, gone, url) if last else ())])
    if not names:
        _commit(api, upload, branch, list(_side(api, upload, branch, held, gone, url)))


def _held(api: HfApi, repo: str, branch: str | None) -> dict[str, str]:
    """The files of the repository, with their SHA-256 where they are large files."""
    try:
        tree = api.list_repo_tree(repo, repo_type="dataset", revision=branch, recursive=True)
        return {each.path: each.lfs.sha256 if each.lfs else "" for each in tree if hasattr(each, "lfs")}
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return {}


def _commit(api: HfApi, upload: Upload, branch: str | None, operations: Sequence[Any]) -> None:
    message = f"goldwash {__version__}: {upload.dataset.documents:,} documents"
    api.create_commit(upload.repo, operations, commit_message=message, repo_type="dataset", revision=branch)


def _side(api: HfApi, upload: Upload, branch: str | None, held: dict[str, str], gone: Sequence[str], url: str) -> Iterator[Any]:
    """The files beside the shards, and what goes."""
    shards = {name: {"bytes": s.bytes, "sha256": s.sha256} for name, s in upload.files.items()}
    yield CommitOperationAdd("recipe.yaml", upload.dataset.recipe.encode())
    yield CommitOperationAdd("report.json", json.dumps(upload.report, indent=1, ensure_ascii=False).encode("utf-8", "replace"))
    if upload.dataset.schema is not None:
        facts = f"{upload.dataset.documents} documents made by goldwash {__version__}."
        described = metadata(upload.dataset.name, facts, __version__, shards, upload.dataset.schema, url)
        yield CommitOperationAdd("croissant.json", json.dumps(described, indent=1).encode())
    if "README.md" not in held or _is_ours(api, upload.repo, branch):
        yield CommitOperationAdd("README.md", f"{card(upload.dataset)}\n{MARK}\n".encode())
    page = _page(upload.folder)
    if page is not None:
        yield CommitOperationAdd("report.html", page.encode("utf-8", "replace"))
    yield from (CommitOperationDelete(name) for name in gone)


def _is_ours(api: HfApi, repo: str, branch: str | None) -> bool:
    """Whether the card on the Hub is as goldwash wrote it."""
    with tempfile.TemporaryDirectory(prefix="goldwash-") as spare:
        place = api.hf_hub_download(repo, "README.md", repo_type="dataset", revision=branch, local_dir=spare)
        text = Path(place).read_text("utf-8", "replace")
    return MARK in text and "license: unknown" in text


def _page(folder: str) -> str | None:
    """The report of the dataset's run; None where the dataset has been moved away from it."""
    from goldwash.pipeline.reporting.facts import facts_of
    from goldwash.pipeline.reporting.page import page

    run = folder.rpartition("/")[0]
    return page(facts_of(run)) if run and exists(join(run, "run.json")) else None


@contextmanager
def _local(shards: Iterator[Input]) -> Iterator[list[str]]:
    """Paths of shards on this machine's disk; those in a store are copied there first. Each is checked by its digest."""
    with tempfile.TemporaryDirectory(prefix="goldwash-") as spare:
        paths = []
        for number, shard in enumerate(shards):
            fs, path = filesystem(shard.path)
            if not is_local(shard.path):
                place = str(Path(spare) / f"{number:05d}.parquet")
                fs.get_file(path, place)
                path = place
            check_unchanged(replace(shard, path=path))
            paths.append(path)
        yield paths
