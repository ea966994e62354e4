"""A page is found by its id or any form of its URL; a copy names the document that is kept; a single stage explains itself."""

import pytest

from goldwash.pipeline.inspect.explain import explained, names_of
from goldwash.pipeline.inspect.neighbours import near
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import rows, shard

WORDS = "The river runs down from the hills and the old mill turns with it all day long, and nobody counts the stones in it."


@pytest.fixture
def single(tmp_path, cli):
    """A minhash stage's folder, by itself: two copies and another text."""
    shard(
        tmp_path / "in" / "a.parquet", [WORDS, WORDS + " Nobody.", "Copper pans hang over the stove, and the cook counts them."]
    )
    assert cli("stage", "minhash", "--input", tmp_path / "in", "--out", tmp_path / "out", "--workers", "1")[0] == 0
    return tmp_path / "out"


def test_names_of_a_url():
    forms = {"http://a.example/b", "http://a.example/b/", "https://a.example/b", "https://a.example/b/"}
    for asked in (*forms, "a.example/b", "a.example/b/"):
        assert set(names_of(asked)) == {asked, *forms}
    assert names_of("urn:uuid:1") == ["urn:uuid:1"]
    assert names_of("<urn:uuid:1>") == ["<urn:uuid:1>", "urn:uuid:1"]
    assert names_of("a-0") == ["a-0"]
    assert names_of("...") == ["..."]
    assert "https://a.example/" in names_of("http://a.example")


@pytest.mark.parametrize("form", ["https://{}", "http://{}", "https://{}/", "{}", "http://{}/"])
def test_a_page_is_found_by_any_form_of_its_url(cli, sample_run, form):
    page = next(row for row in rows(sample_run / "dataset") if str(row["url"]).startswith("https://"))
    bare = str(page["url"]).removeprefix("https://").rstrip("/")
    ((document, passages), *_) = explained(str(sample_run), form.format(bare))
    assert document["id"] == page["id"]
    assert all(passage.verdict == "kept" for passage in passages)
    code, printed, error = cli("explain", sample_run, form.format(bare))
    assert code == 0
    assert str(page["url"]) in printed
    assert ("understood" in error) == (form.format(bare) != page["url"])


def test_the_nearest_names_are_proposed(sample_run):
    page = rows(sample_run / "dataset")[0]
    url, id_ = str(page["url"]), str(page["id"])
    for asked, meant in ((url[:-3] + "xyz" + url[-3:], url), (id_[:-1] + ("0" if id_[-1] != "0" else "1"), id_)):
        with pytest.raises(DataError, match="did you mean") as caught:
            explained(str(sample_run), asked)
        assert meant in str(caught.value)


def test_a_single_stage_explains_itself(cli, single):
    kept, gone = (rows(single, below)[0] for below in ("", "dropped"))
    code, printed, _ = cli("explain", single, kept["id"])
    assert code == 0
    assert "minhash: kept" in printed
    code, printed, _ = cli("explain", single, gone["url"])
    assert code == 0
    assert f"minhash: dropped by near_copy (value 2) [copy of {kept['id']} {kept['url']}]" in printed
    assert "copy of 0:" not in printed
    code, printed, _ = cli("status", single)
    assert code == 0
    assert printed == "minhash: finished, 2 of 3 documents kept\n"
    with pytest.raises(DataError, match="no page of this URL or id"):
        explained(str(single), "nothing")


def test_an_unfinished_single_stage_says_so(single):
    (single / "report.json").unlink()
    with pytest.raises(DataError, match="unfinished stage"):
        explained(str(single), "a-0")


@pytest.mark.parametrize(
    ("asked", "meaning"),
    [
        ("a-2", "document a-2 https://a.example/a-2"),
        ("https://a.example/a-2", "document a-2"),
        ("a.example/a-2/", "document a-2"),
        ("the old mill turns with it", "a text of 6 words"),
    ],
)
def test_near_says_what_it_understood(single, asked, meaning):
    lines: list[str] = []
    near(str(single), asked, notify=lines.append)
    assert lines[0].startswith(f"understood as {meaning}")


@pytest.mark.parametrize("asked", ["a-22", "urn:uuid:5", "https://a.example/a-7", "a.example/b", "gone.txt", "word"])
def test_near_takes_no_name_for_a_text(cli, single, asked):
    with pytest.raises(DataError, match="was understood as") as caught:
        near(str(single), asked)
    assert "--text" in str(caught.value)
    code, _, error = cli("near", single, asked, "--text")
    assert code == 0
    assert "understood as a text of 1 words" in error


def test_a_mistyped_id_is_told_with_the_nearest(single):
    with pytest.raises(DataError, match="did you mean a-2"):
        near(str(single), "a-22")
