"""WebMainBench's scores (arXiv 2511.23119): ``python -m tests.extraction --webmainbench FILE`` prints those of its JSONL.

A line has ``html`` and the true Markdown, ``groundtruth_content`` or ``convert_main_content``. Scores are from 0 to 1, means
over pages:

- ``rouge``: F1 of the 5-grams of words as a multiset. The benchmark cuts words with jieba; here a Chinese or Japanese character
  is a word, so scores of Chinese pages are comparable with each other only. Texts of fewer than five words are one n-gram.
- ``text``, ``code``, ``formula``, ``table``: 1 - edit distance / longer length, of what is left without the other three, of
  the fenced code, of the formulas, of the tables. A page with no code (formulas, tables) at all is not in that mean.
- ``TEDS``: 1 - tree edit distance / nodes of the larger tree, of the tables as trees of rows and cells (Zhong et al., 2020).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from tests.structure import WORD

FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1[ \t]*$\n?", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$(?=\S)([^$\n]+?)(?<=\S)\$", re.DOTALL)
TABLE = re.compile(r"(?:^[ \t]*\|.*(?:\n|\Z))+", re.MULTILINE)
HTML_TABLE = re.compile(r"<table\b.*?</table>", re.IGNORECASE | re.DOTALL)
RULE = re.compile(r"[\s|:-]+")
SCORES = ("rouge", "text", "code", "formula", "table", "TEDS")
N = 5

Tree = tuple[str, list["Tree"]]


def lines(file: Path) -> Iterator[tuple[str, str]]:
    """The HTML and the true Markdown of each line; raises `ValueError` for a line that has not both."""
    with file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            row = json.loads(line)
            truth = row.get("groundtruth_content") or row.get("convert_main_content")
            if not isinstance(row.get("html"), str) or not isinstance(truth, str):
                raise ValueError(
                    f"{file}, line {number}: expected html and groundtruth_content or convert_main_content, "
                    f"found {', '.join(row)}"
                )
            yield row["html"], truth


def rouge(found: str, true: str, n: int = N) -> float:
    """F1 of n-grams of words."""
    ours, theirs = (_grams(text, n) for text in (found, true))
    common = (ours & theirs).total()
    return 2 * common / max(1, ours.total() + theirs.total())


def _grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    return Counter(tuple(words[k : k + n]) for k in range(max(1, len(words) - n + 1)) if words)


def parts(markdown: str) -> dict[str, str]:
    """The text, code, formulas and tables of Markdown."""
    code = "\n".join(match[2].rstrip("\n") for match in FENCE.finditer(markdown))
    rest = FENCE.sub("", markdown)
    tables = [match[0].strip() for pattern in (HTML_TABLE, TABLE) for match in pattern.finditer(rest)]
    for pattern in (HTML_TABLE, TABLE):
        rest = pattern.sub("", rest)
    formulas = ["".join(group or "" for group in match.groups()).strip() for match in FORMULA.finditer(rest)]
    rest = FORMULA.sub("", rest)
    return {"text": " ".join(rest.split()), "code": code, "formula": "\n".join(formulas), "table": "\n".join(tables)}


def table_tree(text: str) -> Tree:
    """The tables of a text as a tree: tables, rows, cells."""
    rows: list[Tree] = []
    if HTML_TABLE.search(text):
        import lxml.html

        rows += [
            ("row", [(" ".join(cell.text_content().split()), []) for cell in row if cell.tag in ("td", "th")])
            for row in lxml.html.fromstring(text).iter("tr")
        ]
    for line in text.splitlines():
        if line.strip().startswith("|") and not RULE.fullmatch(line.replace("---", "|")) and not RULE.fullmatch(line.strip()):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            rows.append(("row", [(cell.replace("\\|", "|").strip(), []) for cell in cells]))
    return "tables", rows


def teds(found: str, true: str) -> float:
    """1 - tree edit distance / nodes of the larger tree; renaming a cell costs its normalized edit distance."""
    ours, theirs = table_tree(found), table_tree(true)
    return 1 - tree_distance(ours, theirs) / max(_size(ours), _size(theirs))


def _size(tree: Tree) -> int:
    return 1 + sum(map(_size, tree[1]))


def tree_distance(a: Tree, b: Tree) -> float:
    """The edit distance of ordered trees (Zhang and Shasha, SIAM Journal on Computing 1989, https://doi.org/10.1137/0218082)."""
    (labels_a, left_a, roots_a), (labels_b, left_b, roots_b) = _postorder(a), _postorder(b)
    distance = [[0.0] * len(labels_b) for _ in labels_a]
    for i in roots_a:
        for j in roots_b:
            _forests(i, j, labels_a, labels_b, left_a, left_b, distance)
    return distance[-1][-1]


def _postorder(tree: Tree) -> tuple[list[str], list[int], list[int]]:
    labels: list[str] = []
    left: list[int] = []

    def walk(node: Tree) -> int:
        first = [walk(child) for child in node[1]]
        labels.append(node[0])
        left.append(first[0] if first else len(labels) - 1)
        return left[-1]

    walk(tree)
    return labels, left, sorted({first: n for n, first in enumerate(left)}.values())


def _forests(i: int, j: int, a: list[str], b: list[str], left_a: list[int], left_b: list[int], out: list[list[float]]) -> None:
    top, side = left_a[i], left_b[j]
    rows = [[float(m + n if not m or not n else 0) for n in range(j - side + 2)] for m in range(i - top + 2)]
    for m in range(1, i - top + 2):
        for n in range(1, j - side + 2):
            x, y = top + m - 1, side + n - 1
            cheapest = min(rows[m - 1][n], rows[m][n - 1]) + 1
            if left_a[x] == top and left_b[y] == side:
                rows[m][n] = min(cheapest, rows[m - 1][n - 1] + Levenshtein.normalized_distance(a[x], b[y]))
                out[x][y] = rows[m][n]
            else:
                rows[m][n] = min(cheapest, rows[left_a[x] - top][left_b[y] - side] + out[x][y])


def page_scores(found: str, true: str) -> dict[str, float]:
    """A page's scores; those that do not apply are left out."""
    ours, theirs = parts(found), parts(true)
    scores = {"rouge": rouge(found, true)}
    for name, part in theirs.items():
        if part or ours[name] or name == "text":
            scores[name] = Levenshtein.normalized_similarity(ours[name], part)
    if theirs["table"] or ours["table"]:
        scores["TEDS"] = teds(ours["table"], theirs["table"])
    return scores


def measured(file: Path, extractors: Mapping[str, Callable[[str], str]]) -> dict[str, dict[str, float]]:
    """The mean scores of extractors on a file in WebMainBench's form."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in extractors}
    for html, true in lines(file):
        for name, extract in extractors.items():
            found[name].append(page_scores(extract(html), true))
    return {
        name: {
            score: sum(page[score] for page in pages if score in page) / sum(score in page for page in pages)
            for score in SCORES
            if any(score in page for page in pages)
        }
        for name, pages in found.items()
    }
