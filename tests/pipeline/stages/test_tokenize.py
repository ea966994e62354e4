"""The stage tokenize against plain Python: nothing is lost, the order is a permutation, provenance leads back to documents."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.export import TOKEN_FORMATS, token_format
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.stages.tokenize import _without_common
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.sealed import read_sealed
from goldwash.pipeline.tokenization.token_shards import Vocabulary
from goldwash.pipeline.tokenization.tokenizers import MODELS, TokenizerError, load
from tests.pipeline.conftest import here, rows, shard

FILE = MODELS / "goldwash.json"
END = 0
LIBRARY = tokenizers.Tokenizer.from_file(str(FILE))
SMALL = {"sequence_length": 32, "shard_tokens": 1024, "memory_tokens": 2400, "formats": ["olmo"]}


def words(n: int) -> str:
    return f"Document {n} tells of gold in the river, café {n * n} and 金. " * (n * 7 % 13)


def corpus(folder: Path, shards: int = 3, each: int = 25, **columns: Any) -> Path:
    for k in range(shards):
        numbers = range(k * each, k * each + each)
        own = {name: [value(n) for n in numbers] for name, value in columns.items()}
        shard(folder / f"{k}.parquet", [words(n) for n in numbers], **own)
    return folder


def ran(folder: Path | list[Path], out: Path, run: Any = here, **config: Any) -> Path:
    names = [str(f) for f in (folder if isinstance(folder, list) else [folder])]
    run_stage(STAGES["tokenize"].of({**SMALL, **config}), find_shards(names), str(out), run)
    return out


def tokens_of(out: Path, length: int | None = 32) -> list[list[int]]:
    """The rows of the format olmo, in order."""
    files = sorted(p for p in (out / "olmo").glob("*.npy") if "mask" not in p.name)
    stream = np.concatenate([np.fromfile(file, np.uint16) for file in files]) if files else np.zeros(0, np.uint16)
    if length is not None:
        return stream.reshape(-1, length).tolist()
    ends = np.flatnonzero(stream == END) + 1
    return [part.tolist() for part in np.split(stream, ends[:-1])]


def ids(text: str) -> list[int]:
    return list(LIBRARY.encode(text, add_special_tokens=False).ids)


def in_sequences(documents: list[list[int]], length: int = 32) -> list[list[int]]:
    stream = [token for document in documents for token in document]
    stream += [END] * (-len(stream) % length)
    return [stream[n : n + length] for n in range(0, len(stream), length)]


def facts(out: Path) -> dict[str, Any]:
    return (read_sealed(str(out / "report.json")) or {})["facts"]


def provenance(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "provenance.parquet").to_pylist()


def digests(out: Path) -> dict[str, str]:
    files = (p for p in sorted(out.rglob("*")) if p.is_file() and "logs" not in p.parts)
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# --- the stream


@pytest.mark.parametrize("memory", [40, 2400, 1 << 20])
def test_in_order_the_rows_are_the_stream_cut_at_every_length(tmp_path, memory):
    count, sizes = (9, {"shard_tokens": 64}) if memory == 40 else (25, {})
    out = ran(corpus(tmp_path / "in", each=count), tmp_path / "out", seed=None, memory_tokens=memory, **sizes)
    expected = in_sequences([[*ids(words(n)), END] for n in range(3 * count)])
    assert tokens_of(out) == expected
    found = facts(out)
    assert found["rows"] == len(expected)
    assert found["padding_tokens"] == len(expected) * 32 - found["tokens_packed"]
    assert found["sources"][""] == {"documents": 3 * count, "tokens": found["tokens_packed"] - 3 * count, "tag_tokens": 0}


def test_shuffled_they_are_the_same_rows_in_another_order_that_the_seed_decides(tmp_path):
    folder = corpus(tmp_path / "in")
    plain = tokens_of(ran(folder, tmp_path / "plain", seed=None))
    one, same, other = (tokens_of(ran(folder, tmp_path / f"{n}", seed=seed)) for n, seed in enumerate((0, 0, 1)))
    assert one == same
    assert one != plain != other != one
    assert sorted(map(tuple, one)) == sorted(map(tuple, plain)) == sorted(map(tuple, other))


@pytest.mark.parametrize("seed", [None, 3])
def test_whole_documents(tmp_path, seed):
    out = ran(corpus(tmp_path / "in"), tmp_path / "out", sequence_length=None, seed=seed)
    expected = [[*ids(words(n)), END] for n in range(75)]
    found = tokens_of(out, None)
    assert sorted(found) == sorted(expected)
    assert (found == expected) == (seed is None)


def test_a_document_longer_than_a_shard_and_documents_of_nothing(tmp_path):
    texts = ["", words(4) * 40, "", "gold", ""]
    shard(tmp_path / "in" / "0.parquet", texts)
    out = ran(tmp_path / "in", tmp_path / "out", seed=None)
    assert tokens_of(out) == in_sequences([[*ids(text), END] for text in texts])
    whole = ran(tmp_path / "in", tmp_path / "whole", seed=None, sequence_length=None)
    assert tokens_of(whole, None) == [[*ids(text), END] for text in texts]


def test_text_that_looks_like_the_end_is_text(tmp_path):
    text = "before <|endoftext|> after"
    shard(tmp_path / "in" / "0.parquet", [text])
    (row,) = rows(ran(tmp_path / "in", tmp_path / "out", formats=[]))
    tokens = np.frombuffer(row["tokens"], "<u2").tolist()
    assert END not in tokens
    assert LIBRARY.decode(tokens, skip_special_tokens=False) == text


def test_no_document_at_all(tmp_path):
    shard(tmp_path / "in" / "0.parquet", [])
    from goldwash.pipeline.flow import Options

    stage = STAGES["tokenize"].of(SMALL)
    run_stage(stage, find_shards([str(tmp_path / "in")]), str(tmp_path / "out"), here, options=Options(allow_empty=True))
    assert tokens_of(tmp_path / "out") == []
    assert json.loads((tmp_path / "out" / "about" / "tokens.json").read_text())["rows"] == 0


@pytest.mark.parametrize("name", TOKEN_FORMATS)
def test_no_document_in_any_format(tmp_path, name):
    from goldwash.pipeline.flow import Options

    shard(tmp_path / "in" / "0.parquet", [])
    stage = STAGES["tokenize"].of({"formats": [name]})
    run_stage(stage, find_shards([str(tmp_path / "in")]), str(tmp_path / "out"), here, options=Options(allow_empty=True))
    assert facts(tmp_path / "out")["rows"] == 0


# --- the same bytes


def test_two_workers_make_the_bytes_of_one(tmp_path):
    folder = corpus(tmp_path / "in")
    config = {"tag": "URL: {host}\n\n", "formats": ["olmo", "mds", "megatron", "llmc", "nanogpt"]}
    one = digests(ran(folder, tmp_path / "1", local(1), **config))
    assert digests(ran(folder, tmp_path / "2", local(2), **config)) == one
    assert digests(ran(folder, tmp_path / "3", **config)) == one


@pytest.mark.parametrize("work", ["tokenize_shard", "count_chosen", "spread_rows", "pack_bucket", "write_about"])
def test_killed_in_any_pass_and_run_again(tmp_path, work):
    """The second task of a pass dies after it has written files; the next run ends in the same bytes."""
    folder, config = corpus(tmp_path / "in"), {"tag": "URL: {host}\n\n"}
    expected = digests(ran(folder, tmp_path / "whole", **config))

    def dying(function: Any, tasks: Any) -> Any:
        for n, task in enumerate(tasks):
            if function.__name__ == work and n == min(1, len(tasks) - 1):
                half = tmp_path / "out" / "olmo" / ".half-1-abc"
                half.parent.mkdir(parents=True, exist_ok=True)
                half.write_bytes(b"half")
                raise KeyboardInterrupt
            function(task)
        return here(function, tasks)

    with pytest.raises(KeyboardInterrupt):
        ran(folder, tmp_path / "out", dying, **config)
    assert digests(ran(folder, tmp_path / "out", **config)) == expected


def test_a_packed_file_that_is_lost_is_made_again(tmp_path):
    folder = corpus(tmp_path / "in")
    out = ran(folder, tmp_path / "out")
    expected = digests(out)
    for name in ("olmo/part-00001.npy", "about/tokens.json", "provenance.parquet/part-00000.parquet"):
        (out / name).unlink()
        assert digests(ran(folder, out)) == expected, name


def test_spread_files_go_and_are_not_needed_again(tmp_path):
    folder = corpus(tmp_path / "in")
    out = ran(folder, tmp_path / "out")
    assert not list((out / "spread").glob("*"))
    assert not list((out / "tasks").glob("spread*"))
    called: list[str] = []

    def watched(function: Any, tasks: Any) -> Any:
        called.append(function.__name__)
        return here(function, tasks)

    (out / "report.json").unlink()
    ran(folder, out, watched)
    assert "spread_rows" not in called


@pytest.mark.parametrize("harm", ["flip", "cut", "other run", "gone"])
def test_a_spread_file_that_is_not_what_was_written_is_refused(tmp_path, harm):
    folder = corpus(tmp_path / "in")

    def harmed(function: Any, tasks: Any) -> Any:
        if function.__name__ == "pack_bucket":
            file = tmp_path / "out" / "spread" / "spread-00001.bin"
            data = bytearray(file.read_bytes())
            if harm == "flip":
                data[len(data) // 3] ^= 4
            elif harm == "cut":
                del data[len(data) // 2 :]
            elif harm == "other run":
                ran(folder, tmp_path / "other", seed=9, run=kept)
                data = bytearray((tmp_path / "kept").read_bytes())
            file.write_bytes(data) if harm != "gone" else file.unlink()
        return here(function, tasks)

    def kept(function: Any, tasks: Any) -> Any:
        done = here(function, tasks)
        if function.__name__ == "spread_rows":
            (tmp_path / "kept").write_bytes((tmp_path / "other" / "spread" / "spread-00001.bin").read_bytes())
        return done

    with pytest.raises(DataError, match=r"spread-00001\.bin is (not what the first pass|missing)"):
        ran(folder, tmp_path / "out", harmed)


# --- provenance


def test_every_token_leads_to_its_document(tmp_path):
    folder = corpus(tmp_path / "in", source=lambda n: f"s{n % 3}", quality_probability=lambda n: n / 100, epoch=lambda n: n % 2)
    out = ran(folder, tmp_path / "out", tag="From {source}: ", cooldown=0.3)
    shards = [
        np.fromfile(out / "olmo" / f"part-{n:05d}.npy", np.uint16) for n in range(len(list((out / "olmo").glob("*.csv.gz"))))
    ]
    seen: dict[str, dict[int, list[int]]] = {}
    sizes: Counter[str] = Counter()
    covered = [np.zeros(len(tokens), int) for tokens in shards]
    for row in provenance(out):
        tokens = shards[row["shard"]][row["start"] : row["end"]].tolist()
        seen.setdefault(row["id"], {})[row["offset"]] = tokens
        sizes[row["id"]] += row["bytes"]
        covered[row["shard"]][row["start"] : row["end"]] += 1
        n = int(row["id"].partition("-")[0]) * 25 + int(row["id"].partition("-")[2])
        assert (row["source"], row["score"], row["epoch"], row["host"]) == (f"s{n % 3}", n / 100, n % 2, "a.example")
    for k in range(3):
        for m in range(25):
            id_, n = f"{k}-{m}", k * 25 + m
            whole = [token for at in sorted(seen[id_]) for token in seen[id_][at]]
            assert whole in ([*ids(words(n)), END], [*ids(f"From s{n % 3}: "), *ids(words(n)), END])
            assert sizes[id_] == len(words(n).encode())
    assert max(map(max, covered)) == 1
    assert sum(int((c == 0).sum()) for c in covered) == facts(out)["padding_tokens"]


def test_the_raw_bytes_of_tokens_add_up_to_the_text(tmp_path):
    out = ran(corpus(tmp_path / "in"), tmp_path / "out")
    lengths = np.load(out / "about" / "token_bytes.npy")
    stream = [token for row in tokens_of(out) for token in row]
    assert int(lengths[stream].sum()) == sum(len(words(n).encode()) for n in range(75))
    assert lengths[END] == 0
    assert facts(out)["byte_lengths"] == "exact"


def test_a_step_of_training_leads_to_its_documents(cli, tmp_path):
    out = ran(corpus(tmp_path / "in"), tmp_path / "out")
    every = tokens_of(out)
    for step, batch in ((0, 3), (2, 5), ((len(every) - 1) // 4, 4)):
        code, printed, error = cli("where", out, step, "--batch", batch)
        assert code == 0, error
        lines = [line.split() for line in printed.splitlines()[1:]]
        expected = every[step * batch : step * batch + batch]
        padding = facts(out)["padding_tokens"] if pad_row(every, out) in expected else 0
        assert sum(-int.__sub__(*map(int, line[1].split("-"))) for line in lines) == sum(map(len, expected)) - padding
        named = {line[-1] for line in lines}
        for row in provenance(out):
            at = row["shard"] * facts(out)["shard_rows"] * 32 + row["start"]
            inside = step * batch * 32 <= at < (step + 1) * batch * 32
            assert (row["id"] in named) or not inside
    code, printed, _ = cli("where", out, "--token", "1:40")
    (line,) = printed.splitlines()[1:]
    assert line.split()[:2] == ["1", "40-41"]
    for wrong in (["--token", "99:0"], ["--token", "0:99999999"], ["--token", "x"], [10**6], [], [-1]):
        assert cli("where", out, *wrong)[0] != 0


def pad_row(every: list[list[int]], out: Path) -> list[int]:
    """The row that is padded: the one that no row of provenance covers to its end."""
    shard_rows = facts(out)["shard_rows"]
    covered = np.zeros(len(every), int)
    for row in provenance(out):
        covered[row["shard"] * shard_rows + row["start"] // 32] += row["end"] - row["start"]
    (found,) = np.flatnonzero(covered < 32).tolist() or [0]
    return every[found]


# --- tags


def test_tags_are_before_documents_but_for_the_last_part_of_the_order(tmp_path):
    folder = corpus(tmp_path / "in", each=100)
    out = ran(folder, tmp_path / "out", tag="URL: {host}\n\n", cooldown=0.25)
    found, tag = facts(out), ids("URL: a.example\n\n")
    every = tokens_of(out)
    masks = np.concatenate([np.fromfile(p, bool) for p in sorted((out / "olmo").glob("*.mask.npy"))]).reshape(-1, 32)
    late = found["untagged_rows"]
    assert 0.1 < late / found["rows"] < 0.4
    assert masks[-late:][np.array(every[-late:]) != END].all()
    tagged = [row for row in provenance(out) if row["masked"]]
    assert sum(row["masked"] for row in tagged) == int((~masks).sum()) - found["padding_tokens"]
    assert sum(row["masked"] for row in tagged) % len(tag) == 0
    boundary = (found["rows"] - late) * 32
    for row in tagged:
        assert row["shard"] * found["shard_rows"] * 32 + row["start"] < boundary
    documents = {row["id"] for row in provenance(out)}
    assert len(documents) == 300
    assert 40 < 300 - len({row["id"] for row in tagged}) < 110


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("{domain}|", {"a.example|"}),
        ("{topic}: ", {"topic 0: ", "topic 1: ", ""}),
        ("{{x}} {host} {score}", {"{x} a.example 0.5", ""}),
        ("plain ", {"plain "}),
    ],
)
def test_a_tag_names_columns(tmp_path, tag, expected):
    folder = corpus(
        tmp_path / "in", topic=lambda n: None if n % 3 == 2 else f"topic {n % 3}", score=lambda n: None if n % 2 else 0.5
    )
    out = ran(folder, tmp_path / "out", tag=tag, formats=[])
    assert {LIBRARY.decode(np.frombuffer(row["tag"], "<u2").tolist()) for row in rows(out)} == expected


def test_a_tag_of_a_column_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"has no column 'topik', which the tag names: did you mean 'topic'"):
        ran(corpus(tmp_path / "in", topic=lambda n: "a"), tmp_path / "out", tag="{topik}")


# --- sources


def sources(tmp_path: Path, **config: Any) -> list[Path]:
    """Two sources, tokenised each by itself."""
    made = []
    for n, name in enumerate(("web", "books")):
        folder = tmp_path / f"{name}-in"
        for k in range(2):
            shard(folder / f"{k}.parquet", [words(200 * n + 30 * k + m) for m in range(30)])
        made.append(ran(folder, tmp_path / name, source=name, formats=[], **config))
    return made


def test_a_mixture_is_an_index_over_token_shards(tmp_path, monkeypatch):
    made = sources(tmp_path)
    monkeypatch.setattr("goldwash.pipeline.tokenization.tokenizers.Tokenizer.encode", refused)
    out = ran(made, tmp_path / "mixed", seed=None)
    texts = [words(200 * n + 30 * k + m) for n in range(2) for k in range(2) for m in range(30)]
    monkeypatch.undo()
    assert tokens_of(out) == in_sequences([[*ids(text), END] for text in texts])
    assert all(len(row["tokens"]) == 0 for row in rows(out))
    assert sum(p.stat().st_size for p in out.glob("part-*.parquet")) < sum(
        p.stat().st_size for folder in made for p in folder.glob("part-*.parquet")
    )
    assert {row["source"] for row in provenance(out)} == {"web", "books"}
    assert facts(out)["sources"].keys() == {"web", "books"}


def test_an_index_is_no_input(tmp_path):
    out = ran(sources(tmp_path), tmp_path / "mixed", formats=[])
    with pytest.raises(DataError, match=r"mixed/part-00000\.parquet is an index .* holds no ids: give the token shards"):
        ran(out, tmp_path / "again")


@pytest.mark.parametrize("kind", ["documents", "mixture", "mixture and documents"])
def test_an_export_is_what_the_stage_writes(cli, tmp_path, kind):
    made = sources(tmp_path)
    inputs = {
        "documents": [tmp_path / "web-in", tmp_path / "books-in"],
        "mixture": made,
        "mixture and documents": [made[0], tmp_path / "books-in"],
    }[kind]
    weights = {"web": 0.3, "books": 0.7} if kind != "documents" else {}
    config: dict[str, Any] = {"source": "books", "weights": weights, "tokens": 9000 if weights else None, "max_repeats": 9}
    out = ran(inputs, tmp_path / "out", **config)
    expected = digests(ran(inputs, tmp_path / "direct", **config, formats=["megatron"]) / "megatron")
    code, _, error = cli("export", out, "--out", tmp_path / "exported", "--format", "megatron", "--workers", 1)
    assert code == 0, error
    assert digests(tmp_path / "exported" / "megatron") == expected


def refused(_self: Any, texts: Any) -> Any:
    assert list(texts) in (["a"], ["<|endoftext|>"]), "a text was tokenised again"
    return np.full(len(texts), 5, np.uint32), np.ones(len(texts), np.int64)


def test_a_further_source_of_documents_is_the_only_one_that_is_tokenised(tmp_path):
    made = sources(tmp_path)
    folder = tmp_path / "new-in"
    shard(folder / "0.parquet", ["a new source of gold"])
    out = ran([*made, folder], tmp_path / "mixed", source="new")
    assert facts(out)["sources"]["new"]["documents"] == 1
    found = rows(out)
    assert [row["source"] for row in found if row["tokens"]] == ["new"]


def test_weights_are_shares_of_the_tokens(tmp_path):
    made = sources(tmp_path)
    out = ran(made, tmp_path / "mixed", weights={"web": 0.25, "books": 0.75}, tokens=30_000, max_repeats=20)
    counts: Counter[str] = Counter()
    for row in provenance(out):
        counts[row["source"]] += row["end"] - row["start"]
    total = sum(counts.values())
    assert total == facts(out)["tokens_packed"]
    assert abs(total - 30_000) < 1500
    assert abs(counts["books"] / total - 0.75) < 0.03
    times: Counter[tuple[str, int]] = Counter((row["id"], row["epoch"]) for row in provenance(out) if row["offset"] == 0)
    assert set(times.values()) <= {1, 2}  # two sources have documents of the same id
    assert max(epoch for _, epoch in times) == int(np.ceil(max(facts(out)["repeats"].values()))) - 1


def test_two_inputs_of_one_source_share_its_weight_with_a_warning(cli, tmp_path):
    web, books = sources(tmp_path)
    other = ran(tmp_path / "books-in", tmp_path / "more", source="web", formats=[])
    given = ("--set", "weights={web: 0.5, books: 0.5}", "sequence_length=32")
    code, _, told = cli("tokenize", "--input", web, books, other, "--out", tmp_path / "out", "--workers", 1, *given)
    assert code == 0, told
    assert "warning: 2 folders (more, web) hold documents of the source 'web' and share its weight" in told
    code, _, told = cli("tokenize", "--input", web, books, "--out", tmp_path / "two", "--workers", 1, *given)
    assert "share its weight" not in told
    assert "sources_in_several_folders" not in facts(tmp_path / "two")


def test_without_a_total_no_source_is_repeated(tmp_path):
    out = ran(sources(tmp_path), tmp_path / "mixed", weights={"web": 0.5, "books": 0.5})
    assert max(facts(out)["repeats"].values()) == pytest.approx(1.0, abs=1e-3)
    assert {row["epoch"] for row in provenance(out)} == {0}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"weights": {"web": 1.0}}, "the source 'books' has no weight: give it a weight"),
        (
            {"weights": {"web": 0.5, "books": 0.3, "bocks": 0.2}},
            "'bocks' has a weight of 0.2 and no tokens: did you mean 'books'",
        ),
        (
            {"weights": {"web": 0.5, "books": 0.5}, "tokens": 10**6},
            r"the source 'web' has .* tokens, and 0.5 of 1,000,000 need it .* times",
        ),
    ],
)
def test_weights_that_do_not_fit_the_sources(tmp_path, config, message):
    with pytest.raises(DataError, match=message):
        ran(sources(tmp_path), tmp_path / "mixed", **config)


def test_token_shards_of_another_tokenizer_or_tag_are_refused(tmp_path):
    made = sources(tmp_path)
    with pytest.raises(DataError, match=r"was tokenised with the tag '', and this stage has 'x': give the same parameters"):
        ran(made, tmp_path / "a", tag="x")
    other = json.loads(FILE.read_text("utf-8"))
    other["model"]["merges"].pop()
    (tmp_path / "t.json").write_text(json.dumps(other), "utf-8")
    with pytest.raises(DataError, match="was tokenised with the tokenizer goldwash, and this stage has"):
        ran(made, tmp_path / "b", tokenizer=str(tmp_path / "t.json"))


# --- what cannot be


def test_formats_refuse_what_they_cannot_hold(tmp_path):
    folder = corpus(tmp_path / "in")
    with pytest.raises(RecipeError, match="format openlm holds sequences of one length, and sequence_length is null"):
        ran(folder, tmp_path / "a", formats=["openlm"], sequence_length=None)
    with pytest.raises(RecipeError, match="format llmc holds at most 2,147,483,646 tokens per file"):
        ran(folder, tmp_path / "b", formats=["llmc"], shard_tokens=1 << 31)
    assert token_format("nanogpt").largest_vocabulary == 1 << 16
    assert not (tmp_path / "a" / "part-00000.parquet").exists()


def test_a_text_that_is_too_large_is_dropped_and_counted(tmp_path):
    shard(tmp_path / "in" / "0.parquet", ["gold", "gold " * 100])
    out = ran(tmp_path / "in", tmp_path / "out", max_text_bytes=50)
    (gone,) = rows(out, "dropped")
    assert (gone["dropped_by"], gone["value"]) == ("too_large", 500)
    assert len(rows(out)) == 1


@pytest.mark.parametrize("fast", [True, False])
def test_an_id_that_the_vocabulary_does_not_have_is_refused(tmp_path, monkeypatch, fast):
    """An id of 70,000 would be written as 4,464 in 16 bits."""
    made = load("goldwash", fast)
    wrong = (np.array([5, 70_000], np.uint32), np.array([2]))
    if fast:
        monkeypatch.setattr(type(made.faster), "encode", lambda _self, _texts: wrong)
    else:
        monkeypatch.setattr(type(made.backend), "encode", lambda _self, _texts: [wrong[0]])
    with pytest.raises(TokenizerError, match="goldwash gave the id 70000; expected ids below 4096, its vocabulary"):
        made.encode(["a"])


def test_ids_at_the_edge_of_a_type(tmp_path):
    """A vocabulary of 65,536 tokens has ids of 16 bits, one more of 32."""
    for size, dtype in ((1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)):
        facts = json.loads(FILE.read_text("utf-8"))
        last = next(
            token for token in facts["model"]["vocab"] if token != "<|endoftext|>" and facts["model"]["vocab"][token] > 300
        )
        facts["model"]["vocab"][last] = size - 1
        (tmp_path / f"{size}.json").write_text(json.dumps(facts), "utf-8")
        assert Vocabulary.of(load(str(tmp_path / f"{size}.json")), END, "").dtype == dtype


def test_a_column_of_another_kind_is_refused(tmp_path):
    shard(tmp_path / "in" / "0.parquet", ["a"], quality_probability=["high"])
    with pytest.raises(DataError, match=r"0\.parquet, column quality_probability: expected double, found string"):
        ran(tmp_path / "in", tmp_path / "out")


def test_columns_that_are_missing_are_null(tmp_path):
    pq.write_table(pa.table({"text": ["gold"]}), tmp_path / "a.parquet")
    out = ran(tmp_path / "a.parquet", tmp_path / "out", formats=[])
    (row,) = rows(out)
    assert (row["source"], row["score"], row["epoch"], row["host"], row["bytes"]) == (None, None, 0, "", 4)


def test_no_end_of_text_is_an_error_before_any_work(tmp_path):
    with pytest.raises(TokenizerError, match=r"eot is .X., no special token of goldwash"):
        ran(corpus(tmp_path / "in"), tmp_path / "out", eot="X")
    assert not (tmp_path / "out" / "tasks").exists()


def test_no_task_grows_with_the_number_of_shards(tmp_path):
    """Tasks name ranges and digests; where the shards are, files say."""
    sizes: dict[str, list[int]] = {}
    for count in (3, 30):

        def recorded(function: Any, tasks: Any) -> Any:
            longest = max(len(json.dumps([t.inputs, t.extra, [s.to_dict() for s in t.sources]])) for t in tasks)
            sizes.setdefault(function.__name__, []).append(longest)
            return here(function, tasks)

        ran(corpus(tmp_path / f"{count:02d}", count, 2), tmp_path / f"out-{count:02d}", recorded, tag="x ")
    assert set(sizes) == {"tokenize_shard", "count_chosen", "spread_rows", "pack_bucket", "write_about"}
    for name, (few, many) in sizes.items():
        assert many <= few + 30, name


def test_a_recipe_that_ends_with_tokens_has_a_dataset_of_documents(cli, tmp_path):
    folder = corpus(tmp_path / "in", 2, 10)
    (tmp_path / "r.yaml").write_text(
        "description: x\nstages:\n  - exact: {}\n  - tokenize: {formats: [nanogpt], sequence_length: 64}\n", "utf-8"
    )
    code, _, error = cli("run", tmp_path / "r.yaml", "--input", folder, "--out", tmp_path / "run", "--workers", 1)
    assert code == 0, error
    assert {"text", "copy_count"} <= set(rows(tmp_path / "run" / "dataset")[0])
    code, _, error = cli("where", f"{tmp_path / 'run'}:tokenize", 0)
    assert code == 0, error
    (tmp_path / "t.yaml").write_text("description: x\nstages:\n  - tokenize: {formats: [nanogpt]}\n", "utf-8")
    code, _, error = cli("run", tmp_path / "t.yaml", "--input", folder, "--out", tmp_path / "only", "--workers", 1)
    assert code == 0, error
    assert not (tmp_path / "only" / "dataset").exists()


@pytest.mark.parametrize(("folders", "told"), [
    (["data/books/part", "data/web/part"], ["books/part", "web/part"]), (["/a", "/a/b"], [".", "b"]), (["", "x"], [".", "x"]),
    (["s3://one/x", "s3://two/x"], ["one/x", "two/x"]),
])  # fmt: skip
def test_folders_are_named_without_the_parents_that_they_share(folders, told):
    assert _without_common(folders) == told
