"""Files of ranks: Common Crawl's forms, look-ups against a plain dictionary, bounded memory, and broken files."""

import bz2
import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.classifiers import ranks as files
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ranks import ranks, reversed_host
from goldwash.filters.texts import Texts

HOSTS = """#harmonicc_pos\t#harmonicc_val\t#pr_pos\t#pr_val\t#host_rev
1\t3.2E7\t2\t0.0061\tcom.facebook
2\t3.1E7\t1\t0.0108\torg.example.blog
3\t2.9E7\t3\t1.5E-8\tcom.example
"""
DOMAINS = """#harmonicc_pos\t#harmonicc_val\t#pr_pos\t#pr_val\t#host_rev\t#n_hosts
1\t3.2E7\t2\t0.25\tcom.example\t17
2\t3.1E7\t1\t0.5\tuk.co.example\t2
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))


def written(folder: Path, text: str, name: str = "ranks.txt") -> str:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else bz2.compress(data) if name.endswith(".bz2") else data)
    return str(path)


def of_urls(place: str, urls: list[str | None]) -> list[float]:
    table = pa.table({"url": pa.array(urls, pa.string())})
    return ranks(place, None).measure(Texts.of([""] * len(urls)), table).tolist()


@pytest.mark.parametrize("name", ["ranks.txt", "ranks.txt.gz", "ranks.txt.bz2"])
@pytest.mark.parametrize("header", [True, False])
def test_host_ranks(tmp_path, name, header):
    place = written(tmp_path, HOSTS if header else HOSTS.split("\n", 1)[1], name)
    urls = [
        "https://www.facebook.com/a", "http://facebook.com:80/", "http://WWW.Blog.Example.ORG./x", "https://example.com",
        "https://sub.facebook.com", "https://unknown.example", "", None, "nonsense",
    ]  # fmt: skip
    wanted = [0.0061, 0.0061, 0.0108, 1.5e-8, 0, 0, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(of_urls(place, urls), wanted, rtol=1e-6)
    np.testing.assert_allclose(of_urls(f"{place}#column=harmonicc_val", urls[:5]), [3.2e7, 3.2e7, 3.1e7, 2.9e7, 0], rtol=1e-6)


def test_domain_ranks_are_those_of_the_longest_parent(tmp_path):
    place = written(tmp_path, DOMAINS, "domains.txt.gz")
    urls = [
        "https://a.b.example.com/", "https://example.com", "https://www.shop.example.co.uk", "https://co.uk", "https://com",
        "https://other.com", "http://10.0.0.1/",
    ]  # fmt: skip
    np.testing.assert_allclose(of_urls(place, urls), [0.25, 0.25, 0.5, 0, 0, 0, 0])


LABELS = st.lists(st.text("abc-z019", min_size=1, max_size=4).filter(lambda s: not s.isdigit()), min_size=2, max_size=4)


@given(st.dictionaries(LABELS.map(".".join), st.floats(0, 1, width=32), max_size=20), st.lists(LABELS, max_size=6))
@settings(max_examples=30)
def test_look_ups_are_those_of_a_dictionary(tmp_path_factory, known, others):
    folder = tmp_path_factory.mktemp("ranks")
    lines = "".join(f"1\t1\t1\t{value!r}\t{name}\n" for name, value in known.items())
    place = written(folder, "#harmonicc_pos\t#harmonicc_val\t#pr_pos\t#pr_val\t#host_rev\n" + lines)
    names = [*known, *map(".".join, others)]
    found = ranks(place, None).of_hosts(names)
    np.testing.assert_allclose(found, [np.float32(known.get(name, 0.0)) for name in names])


def test_an_index_is_made_once_and_saved(tmp_path, monkeypatch):
    place = written(tmp_path, HOSTS)
    first = ranks(place, None)
    monkeypatch.setattr(files, "write_index", None)
    assert ranks(place, None).versions() == first.versions()
    first.save(str(tmp_path / "hosts.ranks"))
    again = ranks(str(tmp_path / "hosts.ranks"), None)
    assert again.versions() == first.versions()
    np.testing.assert_allclose(again.of_hosts(["com.facebook"]), [0.0061], rtol=1e-6)


def test_the_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1 << 16)
    lines = "".join(f"{n}\t1\t{n}\t{1 / (n + 1):.9f}\tcom.host-{n}.with-a-long-name\n" for n in range(60_000))
    place = written(tmp_path, HOSTS + lines)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    made = ranks(place, None)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.hosts == 60_003
    assert most < 2_000_000  # the file has 3 MB, and its hosts as strings take 5
    assert pa.total_allocated_bytes() - before < 1_000_000
    np.testing.assert_allclose(made.of_hosts(["com.host-59999.with-a-long-name"]), [1 / 60_000], rtol=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"begins with ''.*expected a tab-separated file with the columns #host_rev and #pr_val"),
        ("a\tb\n", r"begins with 'a\\tb'|begins with"),
        ("<html>\x1b[31m</html>\n", r"begins with .*x1b\[31m.*expected a tab-separated file"),
        ("#pr_pos\t#host_rev\n1\tcom.a\n", r"the columns #host_rev and #pr_val"),
        (HOSTS + "1\t2\n", r"cannot be read as a file of ranks \(row 5|cannot be read as a file of ranks"),
        (HOSTS + "4\t1\t4\tmuch\tcom.b\n", r"cannot be read as a file of ranks"),
        (HOSTS + "4\t1\t4\tnan\tcom.b\n", r"expected finite numbers from 0 on"),
        (HOSTS + "4\t1\t4\t-1\tcom.b\n", r"expected finite numbers from 0 on"),
    ],
)
def test_files_that_are_no_ranks(tmp_path, text, message):
    with pytest.raises(ModelError, match=message):
        ranks(written(tmp_path, text), None)
    assert not list((tmp_path / "cache").rglob("*.ranks"))
    assert not list((tmp_path / "cache").rglob("*.parts"))


def test_a_packed_file_that_is_cut_off(tmp_path):
    place = Path(written(tmp_path, HOSTS * 3000, "ranks.txt.gz"))
    place.write_bytes(place.read_bytes()[:-200])
    with pytest.raises(ModelError, match="cannot be read as a file of ranks"):
        ranks(str(place), None)


def test_an_index_that_is_cut_off(tmp_path):
    ranks(written(tmp_path, HOSTS), None).save(str(tmp_path / "a.ranks"))
    data = (tmp_path / "a.ranks").read_bytes()
    (tmp_path / "b.ranks").write_bytes(data[:-1])
    with pytest.raises(ModelError, match=r"is cut off: it has 291 bytes, and 3 hosts need 292"):
        ranks(str(tmp_path / "b.ranks"), None)
    (tmp_path / "c.ranks").write_bytes(data[:40])
    with pytest.raises(ModelError, match="is no whole index of ranks"):
        ranks(str(tmp_path / "c.ranks"), None)


def test_documents_without_urls_and_labels(tmp_path):
    place = written(tmp_path, HOSTS)
    with pytest.raises(ModelError, match="the documents have no URLs: name their column with --url-column"):
        ranks(place, None).measure(Texts.of(["a"]), pa.table({"text": ["a"]}))
    with pytest.raises(ModelError, match="pagerank: there are no labels"):
        ranks(place, "hq")


def test_reversed_hosts():
    hosts = [
        "example.com",
        "www.example.com",
        "www.com",
        "a.www.example.com",
        "EXAMPLE.com.",
        "[::1]",
        "127.0.0.1",
        "localhost",
        "",
    ]
    wanted = [
        "com.example",
        "com.example",
        "com.www",
        "com.example.www.a",
        "com.example",
        "[::1]",
        "127.0.0.1",
        "localhost",
        "",
    ]
    assert [reversed_host(host) for host in hosts] == wanted
