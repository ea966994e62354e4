import gzip
import io
import json

import zstandard

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.storage.inputs import find_archives
from tests.pipeline.conftest import rows, shard


def lines(path) -> list[dict[str, object]]:
    data = path.read_bytes()
    text = (
        gzip.decompress(data) if path.suffix == ".gz" else zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    )
    return [json.loads(line) for line in text.decode().splitlines()]


def test_a_dataset_in_dclms_schema(cli, sample_run, tmp_path):
    code, printed, _ = cli("export", sample_run / "dataset", "--out", tmp_path / "out", "--format", "dclm")
    assert code == 0, printed
    files = sorted((tmp_path / "out").iterdir())
    assert files[0].name == "shard_00000000_processed.jsonl.zst"
    documents = [line for file in files for line in lines(file)]
    ours = rows(sample_run / "dataset")
    assert [d["text"] for d in documents] == [r["text"] for r in ours]
    assert set(documents[0]) == {
        "text", "url", "metadata", "warcinfo", "language_id_whole_page_fasttext",
        "fasttext_openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train_prob",
    }  # fmt: skip
    assert documents[0]["language_id_whole_page_fasttext"] == {"en": ours[0]["language_probability"]}
    assert documents[0]["metadata"]["WARC-Record-ID"] == f"<{ours[0]['id']}>"
    before = [f.read_bytes() for f in files]
    assert cli("export", sample_run / "dataset", "--out", tmp_path / "out")[0] == 0
    assert [f.read_bytes() for f in files] == before


def test_headers_that_were_kept_are_whole(cli, sample, tmp_path):
    archive = sample / "crawl" / "sample-00000.warc.gz"
    Extract(keep_headers=True)(find_archives([str(archive)]), str(tmp_path / "kept"), local(1))
    assert cli("export", tmp_path / "kept", "--out", tmp_path / "out", "--packing", "gz")[0] == 0
    (file,) = (tmp_path / "out").iterdir()
    first = lines(file)[0]
    assert first["warcinfo"].startswith("software: goldwash sample\r\n")
    assert {"WARC-Type", "WARC-Record-ID", "WARC-Date", "WARC-Target-URI", "Content-Type", "Content-Length"} <= set(
        first["metadata"]
    )


def test_headers_that_are_kept_stand_in_an_order_of_their_own(sample, tmp_path):
    archive = sample / "crawl" / "sample-00000.warc.gz"
    Extract(keep_headers=True)(find_archives([str(archive)]), str(tmp_path / "kept"), local(1))
    names = [list(json.loads(str(row["warc_headers"]))) for row in rows(tmp_path / "kept")]
    assert names == [sorted(each) for each in names]


def test_your_own_shards_have_less_to_tell(cli, tmp_path):
    shard(tmp_path / "in" / "a.parquet", ["gold"])
    assert cli("export", tmp_path / "in", "--out", tmp_path / "out")[0] == 0
    (document,) = lines(tmp_path / "out" / "shard_00000000_processed.jsonl.zst")
    assert (document["text"], document["warcinfo"]) == ("gold", "")
    assert cli("export", tmp_path / "nowhere", "--out", tmp_path / "out")[0] == 1
