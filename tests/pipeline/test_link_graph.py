"""PageRank of hosts: against networkx and a linear system, links of shards and of WAT files, and bad input."""

import gzip
import json
from pathlib import Path

import networkx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers.ranks import ranks
from goldwash.pipeline.link_graph import Graph, graph_of, page_rank, wat_links, write_ranks
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives
from tests.pipeline.conftest import here, rows
from tests.support.archives import gzipped, record

EDGES = st.integers(1, 8).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=25))
)


def arrays(edges):
    unique = sorted({(a, b) for a, b in edges if a != b})
    return np.array([a for a, _ in unique], np.int64), np.array([b for _, b in unique], np.int64)


@given(EDGES, st.floats(0.0, 0.95))
def test_page_rank_is_that_of_networkx(graph, damping):
    hosts, edges = graph
    source, target = arrays(edges)
    theirs = networkx.DiGraph()
    theirs.add_nodes_from(range(hosts))
    theirs.add_edges_from(zip(source.tolist(), target.tolist(), strict=True))
    wanted = networkx.pagerank(theirs, alpha=damping, tol=1e-12, max_iter=5000)
    found = page_rank(hosts, source, target, damping)
    np.testing.assert_allclose(found, [wanted[n] for n in range(hosts)], atol=1e-9)
    assert found.sum() == pytest.approx(1.0)


@given(EDGES)
def test_page_rank_solves_its_equation(graph):
    hosts, edges = graph
    source, target = arrays(edges)
    matrix = np.full((hosts, hosts), 0.0)
    out = np.bincount(source, minlength=hosts)
    matrix[target, source] = 1.0 / out[source]
    matrix[:, out == 0] = 1.0 / hosts
    wanted = np.linalg.solve(np.eye(hosts) - 0.85 * matrix, np.full(hosts, 0.15 / hosts))
    np.testing.assert_allclose(page_rank(hosts, source, target), wanted, atol=1e-10)


def test_no_hosts_and_a_damping_that_does_not_settle():
    assert page_rank(0, *arrays([])).shape == (0,)
    with pytest.raises(DataError, match=r"does not settle in 1000 rounds with a damping of 1.0: give a lower --damping"):
        page_rank(3, *arrays([(0, 1), (1, 0), (2, 0)]), damping=1.0)  # two hosts that pass the rank to and fro


PAGES = [
    ("https://www.a.example/1", ["https://b.example/", "https://b.example/2", "https://a.example/2", "https://c.example/"]),
    ("https://a.example/2", ["http://B.example:80/3"]),
    ("https://b.example/", ["https://c.example/x"]),
    ("https://d.example/", []),
]
"""Pages and their links; the graph is a -> b, a -> c, b -> c, and d alone."""
WANTED = ["example.a", "example.b", "example.c", "example.d"], [(0, 1), (0, 2), (1, 2)]


def graph(edges):
    return edges[0], list(zip(edges[1].tolist(), edges[2].tolist(), strict=True))


def test_the_graph_does_not_depend_on_the_order_of_pages():
    for order in (PAGES, PAGES[::-1], PAGES + PAGES[:2]):
        made = Graph()
        for url, links in order:
            made.add([url], [links])
        assert graph(made.edges()) == WANTED
    whole = Graph()
    whole.add([url for url, _ in PAGES], [links for _, links in PAGES])
    assert graph(whole.edges()) == WANTED


def page(url, links):
    anchors = "".join(f"<a href='{link}'>more</a>" for link in links)
    return record(url, f"<html><body><p>Words of a page.</p>{anchors}".encode())


@pytest.fixture
def archive(tmp_path) -> Path:
    place = tmp_path / "crawl" / "a.warc.gz"
    place.parent.mkdir()
    place.write_bytes(gzipped([page(url, links) for url, links in PAGES]))
    return place


def extracted(archive, out, **settings):
    Extract.of({"extractor": "resiliparse_all", **settings})(find_archives([str(archive)]), str(out), here)
    return out


def test_extract_writes_links_if_asked(archive, tmp_path):
    without, with_links = extracted(archive, tmp_path / "one"), extracted(archive, tmp_path / "two", links=True)
    found = [(row["url"], row.pop("links")) for row in rows(with_links)]
    assert found[0][1] == ["https://b.example/", "https://b.example/2", "https://a.example/2", "https://c.example/"]
    assert found[3] == ("https://d.example/", [])
    plain = pq.read_table(with_links / "part-00000.parquet")
    assert plain.schema.field("links").type == pa.list_(pa.string())
    assert plain.drop_columns(["links"]).equals(pq.read_table(without / "part-00000.parquet"))
    assert "links" not in pq.read_schema(without / "part-00000.parquet").names
    made = graph_of([str(with_links)])
    assert graph(made.edges()) == WANTED
    assert (made.pages, made.links) == (4, 6)
    with pytest.raises(
        DataError, match=r"expected a column links of lists of URLs, and it is missing .*use extract.links=true"
    ):
        graph_of([str(without)])


def wat_record(url, links, base=""):
    html = {"Head": {"Base": base} if base else {}, "Links": links}
    value = {
        "Envelope": {
            "WARC-Header-Metadata": {"WARC-Target-URI": url, "WARC-Type": "response"},
            "Payload-Metadata": {"HTTP-Response-Metadata": {"HTML-Metadata": html}},
        }
    }
    return json.dumps(value).encode()


def wat(*blocks: bytes) -> bytes:
    out = b""
    for number, block in enumerate(blocks):
        head = (
            f"WARC/1.0\r\nWARC-Type: metadata\r\nWARC-Record-ID: <urn:uuid:{number:032d}>\r\n"
            f"WARC-Date: 2024-01-01T00:00:00Z\r\nContent-Type: application/json\r\nContent-Length: {len(block)}\r\n\r\n"
        ).encode()
        out += gzip.compress(head + block + b"\r\n\r\n")
    return out


def test_wat_files(tmp_path):
    blocks = [wat_record(url, [{"path": "A@/href", "url": link} for link in links]) for url, links in PAGES]
    other = [b"{broken", b"[1]", b"{}", json.dumps({"Envelope": {"Payload-Metadata": {}}}).encode()]
    (tmp_path / "a.warc.wat.gz").write_bytes(wat(*blocks[:2], *other))
    (tmp_path / "b.wat.gz").write_bytes(wat(*blocks[2:]))
    for names in ([str(tmp_path)], [str(tmp_path / "*.wat.gz")], [str(tmp_path / f) for f in ("b.wat.gz", "a.warc.wat.gz")]):
        made = graph_of(names)
        assert graph(made.edges()) == WANTED
        assert (made.pages, made.broken) == (4, 2)
    (tmp_path / "wat.paths").write_text(f"{tmp_path / 'a.warc.wat.gz'}\n{tmp_path / 'b.wat.gz'}\n")
    assert graph(graph_of([str(tmp_path / "wat.paths")]).edges()) == WANTED


def test_links_of_a_wat_record():
    links = [
        {"path": "A@/href", "url": "b"}, {"path": "AREA@/href", "url": "/c"}, {"path": "IMG@/src", "url": "d.png"},
        {"path": "A@/href"}, {"path": "A@/href", "url": "mailto:x"}, {"path": "FORM@/action", "url": "e"},
    ]  # fmt: skip
    found = wat_links(json.loads(wat_record("https://a.example/x/y", links)))
    assert found == ("https://a.example/x/y", ["https://a.example/x/b", "https://a.example/c"])
    found = wat_links(json.loads(wat_record("https://a.example/x/y", links[:1], "https://z.example/q/")))
    assert found == ("https://a.example/x/y", ["https://z.example/q/b"])


@pytest.mark.real
def test_a_wat_file_of_common_crawl_without_a_page(real):
    """It holds the metadata of a request and of a crawler's notes alone."""
    with pytest.raises(DataError, match=r"0 pages and no link\. Extract with --set extract.links=true, or name WAT files"):
        graph_of([str(real / "archives" / "whirlwind.warc.wat.gz")])


@pytest.mark.parametrize("name", ["ranks.txt", "ranks.txt.gz"])
def test_written_ranks_are_read_by_the_scorer(tmp_path, monkeypatch, name):
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    made = Graph()
    made.add([url for url, _ in PAGES], [links for _, links in PAGES])
    hosts, source, target = made.edges()
    found = page_rank(len(hosts), source, target)
    for place in (tmp_path / name, tmp_path / f"again-{name}"):
        write_ranks(hosts, found, str(place))
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()
    np.testing.assert_allclose(ranks(str(tmp_path / name), None).of_hosts(hosts), found, rtol=1e-6)
    lines = (gzip.decompress if name.endswith(".gz") else bytes)((tmp_path / name).read_bytes()).decode().splitlines()
    assert lines[0] == "#pr_pos\t#pr_val\t#host_rev"
    assert [line.split("\t")[2] for line in lines[1:]] == ["example.c", "example.b", "example.a", "example.d"]


def test_the_command(cli, archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extracted(archive, tmp_path / "two", links=True)
    code, printed, errors = cli("pagerank", "--input", "two", "--out", "ranks.txt")
    assert code == 0, errors
    assert "4 pages, 6 links: 4 hosts, 3 links between them" in printed
    assert "example.c" in printed.splitlines()[1]
    code, printed, errors = cli("pagerank", "--input", "nowhere", "--out", "x.txt")
    assert code == 1
    assert "nowhere" in errors
    assert not (tmp_path / "x.txt").exists()


def test_columns_that_hold_no_lists(tmp_path):
    pq.write_table(
        pa.table({"text": ["a"], "url": ["https://a.example"], "links": ["https://b.example"]}), tmp_path / "a.parquet"
    )
    with pytest.raises(DataError, match=r"expected a column links of lists of URLs, and it holds string"):
        graph_of([str(tmp_path / "a.parquet")])
    table = pa.table({"text": ["a"], "url": ["https://a.example"], "links": [["https://b.example", None, "nonsense"]]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert graph(graph_of([str(tmp_path / "a.parquet")]).edges()) == (["example.a", "example.b"], [(0, 1)])
