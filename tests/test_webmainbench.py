"""WebMainBench's scores on lines in its published form, by hand and against known values."""

import json
from pathlib import Path

import pytest

from goldwash.pipeline.html.main_content import Content
from tests.webmainbench import measured, page_scores, rouge, teds, tree_distance

PARAGRAPH = "The river bent here and slowed, so that the gold lay in the bend where nobody had looked for it before."
ROWS = "<tr><th>year</th><th>ounces</th></tr><tr><td>1898</td><td>12</td></tr><tr><td>1899</td><td>40</td></tr>"
HTML = (
    "<html><body><nav><a href=/>Home</a> <a href=/x>News</a></nav><main cc-select=true><h1 cc-select=true>Gold</h1>"
    f"<p>{PARAGRAPH}</p><table>{ROWS}</table><pre><code class=language-python>def pan():\n    return 1\n</code></pre>"
    f"<p>{PARAGRAPH} <script type='math/tex'>E=mc^2</script></p></main></body></html>"
)
TRUE = (
    f"# Gold\n\n{PARAGRAPH}\n\n| year | ounces |\n| --- | --- |\n| 1898 | 12 |\n| 1899 | 40 |\n\n"
    f"```python\ndef pan():\n    return 1\n```\n\n{PARAGRAPH} $E=mc^2$\n"
)


def test_a_file_in_the_published_form_is_scored(tmp_path: Path) -> None:
    rows = [
        {"track_id": "1", "url": "https://a.example", "html": HTML, "groundtruth_content": TRUE, "meta": {"language": "en"}},
        {"track_id": "2", "html": f"<p>{PARAGRAPH}</p>", "convert_main_content": PARAGRAPH, "main_html": f"<p>{PARAGRAPH}</p>"},
        {
            "track_id": "3",
            "html": f"<h1>Gold</h1><p>{PARAGRAPH}",
            "groundtruth_content": "",
            "convert_main_content": f"# Gold\n\n{PARAGRAPH}",
        },
    ]
    file = tmp_path / "bench.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = measured(file, {"blocks": Content(form="markdown", formulas="dollars"), "nothing": lambda html: ""})
    assert found["blocks"] == pytest.approx(dict.fromkeys(("rouge", "text", "code", "formula", "table", "TEDS"), 1.0))
    assert found["nothing"]["rouge"] == found["nothing"]["text"] == found["nothing"]["code"] == 0
    assert found["nothing"]["TEDS"] == pytest.approx(1 / 10)  # of ten nodes, the root is there


def test_a_line_without_truth_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "bench.jsonl"
    file.write_text('{"html": "<p>x", "url": "u"}\n')
    with pytest.raises(
        ValueError, match="line 1: expected html and groundtruth_content or convert_main_content, found html, url"
    ):
        measured(file, {})


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        ("a b c d e f", "a b c d e f", 1),
        ("a b c d e f", "a b c d e g", 0.5),
        ("", "a b c d e", 0),
        ("a b", "a b", 1),
        ("", "", 0),
    ],
)
def test_rouge(found: str, true: str, expected: float) -> None:
    assert rouge(found, true) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        ("| a | b |\n| --- | --- |\n| c | d |", "| a | b |\n| --- | --- |\n| c | d |", 1),
        ("| a | b |\n| --- | --- |", "| a | b |\n| --- | --- |\n| c | d |", 1 - 3 / 7),
        ("| a | b |\n| --- | --- |\n| c | x |", "| a | b |\n| --- | --- |\n| c | d |", 1 - 1 / 7),
        ("| a | b |\n|:-|-|\n| c | d |", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>", 1),
        ("", "| a |\n| --- |\n| b |", 1 - 4 / 5),
    ],
)
def test_teds(found: str, true: str, expected: float) -> None:
    assert teds(found, true) == pytest.approx(expected)


def test_the_distance_of_the_trees_of_zhang_and_shasha() -> None:
    """The example of their paper: f(d(a c(b)) e) and f(c(d(a b)) e) have the distance 2."""
    one = ("f", [("d", [("a", []), ("c", [("b", [])])]), ("e", [])])
    other = ("f", [("c", [("d", [("a", []), ("b", [])])]), ("e", [])])
    assert tree_distance(one, other) == 2


def test_structure_is_scored_apart_from_text() -> None:
    scores = page_scores(TRUE.replace("    return", "return"), TRUE)
    assert scores["text"] == scores["table"] == scores["TEDS"] == scores["formula"] == 1
    assert 0.5 < scores["code"] < 1
