"""Read tokens back by the training stacks' own readers, in a process of its own: they import torch, and warn at import.

``python -m tests.support.token_readers`` reads a list of jobs (`Job`) as JSON from its input, and prints a list of answers:
the rows, masks (or null), and what else the reader says; or ``missing``, the reason why a reader cannot be imported. The
readers are those of the packages in ``tests/readers.txt``. llm.c, nanoGPT and OpenLM are on no package index: their readers
are written here from their sources, OpenLM's on the webdataset package, as its ``data.py`` does.
"""

import glob
import importlib.abc
import importlib.machinery
import json
import subprocess
import sys
import types
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
Job = dict[str, Any]
Answer = dict[str, Any]


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """An empty module for a package that streaming imports and does not use here: torchvision, for images."""

    NAMES = frozenset({"torchvision"})

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in self.NAMES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        made = types.ModuleType(spec.name)
        made.__path__ = []
        made.__getattr__ = _any_class  # type: ignore[method-assign]
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _any_class(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


def read_all(jobs: list[Job]) -> list[Answer]:
    """The answers of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.support.token_readers"],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[Answer] = json.loads(done.stdout.rpartition("ANSWERS ")[2])
    return answers


def openlm(job: Job) -> Answer:
    """As ``open_lm/data.py`` reads ``--data-key json.gz``, the shards as the manifest lists them."""
    import webdataset as wds

    folder = Path(job["folder"])
    manifest = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().split("\n")[:-1]]
    rows: list[Any] = []
    counts = []
    for entry in manifest:
        steps = [
            wds.SimpleShardList([f"{folder}/{entry['shard']}.tar"]),
            wds.tarfile_to_samples(handler=wds.reraise_exception),
            wds.decode(),
            wds.rename(json="json.gz"),
            wds.to_tuple("json"),
        ]
        found = [row for (row,) in wds.DataPipeline(*steps)]
        counts.append(len(found))
        rows += found
    assert counts == [entry["num_sequences"] for entry in manifest]
    rows = [json.loads(row) if isinstance(row, bytes) else row for row in rows]
    context = (job["length"] or 0) - 1
    assert all(len(row) > context for row in rows)  # filter_lt_seqlen passes over shorter ones
    return {"rows": rows}


def megatron(job: Job) -> Answer:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    rows, kinds, documents = [], set(), 0
    weights = (Path(job["folder"]) / "data_args.txt").read_text().split()
    for weight, prefix in zip(weights[::2], weights[1::2], strict=True):
        held = IndexedDataset(f"{job['folder']}/{prefix}", mmap=True)
        assert int(held.sequence_lengths.sum()) == int(weight)
        assert held.document_indices.tolist() == list(range(len(held) + 1))
        kinds.add(np.dtype(held.index.dtype).name)
        rows += [held[n].tolist() for n in range(len(held))]
        documents += len(held)
        assert held.get(len(held) - 1, offset=0, length=1).tolist() == rows[-1][:1]
    return {"rows": rows, "dtype": sorted(kinds)}


def nanotron(job: Job) -> Answer:
    from datatrove.utils.dataset import DatatroveFolderDataset

    size = np.dtype(job["dtype"]).itemsize
    files = sorted(Path(job["folder"]).glob("*.ds"))
    masks: Any = None
    if (files[0].parent / f"{files[0].name}.loss").exists():
        masks = np.concatenate([np.fromfile(f"{file}.loss", np.bool_) for file in files])
    if job["length"] is None:
        rows = []
        for file in files:
            ids = np.fromfile(file, job["dtype"])
            ends = np.fromfile(f"{file}.index", np.uint64).astype(np.int64)
            rows += [part.tolist() for part in np.split(ids, ends[:-1])]
        return {"rows": rows}
    held = DatatroveFolderDataset(job["folder"], job["length"] - 1, token_size=size, return_positions=True)
    found = [held[n] for n in range(len(held))]
    masks = masks.reshape(len(found), -1).tolist() if masks is not None else None
    return {
        "rows": [item["input_ids"].tolist() for item in found],
        "positions": [item["positions"].tolist() for item in found],
        "masks": masks,
    }


def mds(job: Job) -> Answer:
    from streaming import LocalDataset
    from streaming.base.hashing import get_hash

    held = LocalDataset(local=job["folder"])
    for shard in held.shards:
        data = (Path(job["folder"]) / shard.raw_data.basename).read_bytes()
        assert {name: get_hash(name, data) for name in shard.raw_data.hashes} == shard.raw_data.hashes
        assert len(data) == shard.raw_data.bytes
        shard.validate(False)
    found = [held[n] for n in range(len(held))]
    masks = [item["loss_mask"].astype(bool).tolist() for item in found] if "loss_mask" in found[0] else None
    kinds = {item["tokens"].dtype.name for item in found}
    return {"rows": [item["tokens"].tolist() for item in found], "masks": masks, "dtype": sorted(kinds)}


def llmc(job: Job) -> Answer:
    """By ``llmc/dataloader.h`` and ``train_gpt2.py``: header, sizes, and batches of B * T + 1 that move by B * T."""
    rows: list[list[int]] = []
    length = job["length"]
    for name in sorted(glob.glob(f"{job['folder']}/*.bin")):
        data = Path(name).read_bytes()
        header = np.frombuffer(data, np.int32, 256)
        kind = {(20240520, 1): np.uint16, (20240801, 7): np.uint32}[int(header[0]), int(header[1])]
        assert not header[3:].any()
        tokens = np.frombuffer(data, kind, offset=1024)
        assert len(tokens) == header[2]
        if length is None:
            rows += split(tokens[:-1], job["end"])
            continue
        samples = (len(tokens) - 1) // length
        assert samples * length + 1 == len(tokens)  # nothing is left out at the file's end
        for n in range(samples):
            window = tokens[n * length : n * length + length + 1]
            rows.append(window[:-1].tolist())
    return {"rows": rows}


def nanogpt(job: Job) -> Answer:
    """By ``train.py``'s ``get_batch``, on the files one after the other, as ``cat`` joins them."""
    files = [np.memmap(name, np.uint16, "r") for name in sorted(glob.glob(f"{job['folder']}/*.bin"))]
    tokens = np.concatenate(files)
    if job["length"] is None:
        return {"rows": split(tokens, job["end"])}
    return {"rows": [row.tolist() for row in tokens.astype(np.int64).reshape(-1, job["length"])]}


def split(tokens: Any, end: int) -> list[list[int]]:
    """Documents, each with its end."""
    ends = np.flatnonzero(tokens == end) + 1
    assert not len(ends) or ends[-1] == len(tokens)
    return [part.tolist() for part in np.split(tokens, ends[:-1])]


def olmo(job: Job) -> Answer:
    from olmo_core.data.numpy_dataset import NumpyFSLDataset
    from olmo_core.data.utils import get_document_indices, iter_document_indices

    paths = [p for p in sorted(Path(job["folder"]).glob("*.npy")) if not p.name.endswith(".mask.npy")]
    kind = {"uint16": np.uint16, "uint32": np.uint32}[job["dtype"]]
    if job["length"] is None:
        rows = []
        for path in paths:
            ids = np.memmap(path, kind, "r")
            rows += [ids[a:b].tolist() for a, b in iter_document_indices(path, use_array_if_local=False, dtype=kind)]
        return {"rows": rows}
    masks = [p.with_name(p.name.replace(".npy", ".mask.npy")) for p in paths]
    masked = masks[0].exists()
    held = NumpyFSLDataset(
        *paths,
        sequence_length=job["length"],
        pad_token_id=job["end"],
        eos_token_id=job["end"],
        vocab_size=job["size"],
        dtype=kind,
        include_instance_metadata=False,
        label_mask_paths=masks if masked else None,
    )
    held.prepare()
    found = [held[n] for n in range(len(held))]
    for path in paths:  # the documents cover the file, but for the padding at the end of all
        spans = get_document_indices(path)
        assert all(a == b for (_, a), (b, _) in pairwise(spans))
    return {
        "rows": [item["input_ids"].tolist() for item in found],
        "masks": [item["label_mask"].tolist() for item in found] if masked else None,
    }


READERS: dict[str, Callable[[Job], Answer]] = {
    "openlm": openlm,
    "megatron": megatron,
    "nanotron": nanotron,
    "mds": mds,
    "llmc": llmc,
    "nanogpt": nanogpt,
    "olmo": olmo,
}


def main() -> None:
    """Read the jobs and print the answers."""
    sys.meta_path.append(Absent())
    answers: list[Answer] = []
    for job in json.load(sys.stdin):
        try:
            answers.append(READERS[job["format"]](job))
        except ImportError as error:
            answers.append({"missing": f"{job['format']}: {error}: make readers"})
    sys.stdout.write(f"ANSWERS {json.dumps(answers)}")


if __name__ == "__main__":
    main()
