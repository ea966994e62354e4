"""The card of a dataset: the Hub's README form, a YAML header and what a reader must know, in Markdown.

Invariants: every number comes from the dataset's own report. What goldwash cannot know (licence, intended use, people) is a
line to fill in. Data in it (names of rules, inputs, notes) is escaped. Equal datasets have equal cards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml
from huggingface_hub import DatasetCard, DatasetCardData

from goldwash.text_output import markdown, markdown_code

PARQUET_FILES = "*.parquet"
SIZES = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"),
)  # fmt: skip
"""The Hub's size categories: the first that a number of documents is below."""

BYTES_PER_TOKEN = 4.3
"""Bytes of English web text per token of GPT-NeoX's tokenizer (docs/evidence.md)."""


@dataclass(frozen=True)
class Dataset:
    """What a card is made of. ``report``: the dataset's ``_report.json``; ``schema``: None of a dataset without a shard."""

    name: str
    report: Mapping[str, Any]
    recipe: str
    """The resolved recipe, as YAML."""
    schema: pa.Schema | None
    files: str = PARQUET_FILES
    """The pattern of its shards."""
    source: str = ""
    """How `datasets.load_dataset` names it; "" for its folder."""

    @property
    def documents(self) -> int:
        """Its documents."""
        return sum(int(facts.get("rows") or 0) for facts in self.report["shards"].values())

    @property
    def bytes(self) -> int:
        """The bytes of its shards."""
        return sum(int(facts.get("bytes") or 0) for facts in self.report["shards"].values())

    @property
    def text_bytes(self) -> int:
        """The bytes of its text."""
        funnel = self.report["funnel"]
        return int(funnel[-1]["kept"].get("bytes", 0)) if funnel else 0


def card(dataset: Dataset) -> str:
    """The card's text."""
    made = DatasetCard.from_template(
        header(dataset), template_str="---\n{{ card_data }}\n---\n\n{{ body }}", body="\n".join(_body(dataset))
    )
    return str(made.content).rstrip("\n") + "\n"


def header(dataset: Dataset) -> DatasetCardData:
    """The YAML header."""
    return DatasetCardData(
        pretty_name=dataset.name,
        language=list(languages(dataset.recipe)) or None,
        license="unknown",
        size_categories=_size_category(dataset.documents),
        task_categories=["text-generation"],
        tags=["pretraining", "web", "goldwash"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": dataset.files}]}],
    )


def _size_category(documents: int) -> str:
    return next((name for most, name in SIZES if documents < most), "n>1T")


def languages(recipe: str) -> tuple[str, ...]:
    """The languages that a recipe keeps; () where it keeps all."""
    found: dict[str, None] = {}
    for stage in (yaml.safe_load(recipe) or {}).get("stages") or ():
        for parameters in stage.values() if isinstance(stage, Mapping) else ():
            for step in (parameters or {}).get("steps") or ():
                if isinstance(step, Mapping) and step.get("keep") == "language":
                    found |= dict.fromkeys(map(str, step.get("among") or ()))
    return tuple(found)


def _body(dataset: Dataset) -> Iterator[str]:
    report = dataset.report
    yield f"# {markdown(dataset.name, 200)}"
    yield ""
    yield (
        f"{dataset.documents:,} documents, {_size(dataset.text_bytes)} of text ({_tokens(dataset)}), made by "
        f"goldwash {markdown(report.get('goldwash', ''), 40)} with the recipe "
        f"{markdown_code(report.get('recipe', ''), 100)}."
    )
    yield ""
    yield from _notes(report.get("notes") or ())
    yield from _funnel(report)
    yield from _columns(dataset.schema)
    yield from _contamination(report.get("decontamination"))
    yield from _reading(dataset)
    yield "## Licence and use"
    yield ""
    yield (
        "**To fill in by the publisher.** The texts remain their owners'; goldwash knows no licence of theirs. Set `license` "
        "in the header above, and say here what the dataset may be used for, and whom to ask for the removal of a page. Each "
        "document names its page (`url`, `date`) and the record of the archive that it is from."
    )
    yield ""
    yield "## Recipe"
    yield ""
    yield from _fenced(dataset.recipe, "yaml")


def _tokens(dataset: Dataset) -> str:
    """How many tokens: counted where a tokenizer was named, else estimated."""
    held = dataset.report.get("tokens")
    if not held:
        return f"about {_count(dataset.text_bytes / BYTES_PER_TOKEN)} tokens"
    return f"{int(held['count']):,} tokens of {markdown_code(held['tokenizer'], 200)}, in `token_count` per document"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for note in dict.fromkeys(notes):
        yield f"> **Note:** {markdown(note, 600)}"
        yield ""


def _funnel(report: Mapping[str, Any]) -> Iterator[str]:
    funnel = report["funnel"]
    if not funnel:
        return
    damaged = int((report.get("losses") or {}).get("damaged_places", 0))
    read, kept = int(funnel[0]["read"].get("documents", 0)), int(funnel[-1]["kept"].get("documents", 0))
    dropped = sum(int(c.get("documents", 0)) for row in funnel for c in (row.get("dropped") or {}).values())
    yield "## Funnel"
    yield ""
    yield f"`{read + damaged:,} read = {kept:,} kept + {dropped:,} dropped + {damaged:,} damaged`"
    yield ""
    yield "| stage | documents read | kept | of all | text kept | dropped most by |"
    yield "|---|---:|---:|---:|---:|---|"
    for row in funnel:
        rules = sorted((row.get("dropped") or {}).items(), key=lambda item: (-int(item[1].get("documents", 0)), item[0]))
        most = ", ".join(f"{markdown_code(rule, 80)} {int(count.get('documents', 0)):,}" for rule, count in rules[:3])
        here, left = int(row["read"].get("documents", 0)), int(row["kept"].get("documents", 0))
        share = f"{100 * left / read:.2f}%" if read else "-"
        text = _size(row["kept"].get("bytes", 0))
        yield f"| {markdown(row['stage'], 80)} | {here:,} | {left:,} | {share} | {text} | {most} |"
    yield ""


def _columns(schema: pa.Schema | None) -> Iterator[str]:
    if schema is None:
        return
    yield "## Columns"
    yield ""
    yield "| column | type |"
    yield "|---|---|"
    for field in schema:
        yield f"| {markdown_code(field.name, 100)} | {markdown_code(str(field.type), 100)} |"
    yield ""


def _contamination(held: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## Decontamination"
    yield ""
    if not held:
        yield "The recipe has no decontaminate stage: benchmark questions were not looked for."
        yield ""
        return
    names = held.get("benchmarks") or []
    named = ", ".join(markdown_code(name, 200) for name in ([names] if isinstance(names, str) else names))
    rule, action = (markdown_code(held.get(key, ""), 40) for key in ("rule", "action"))
    items, documents = (int(held.get(key) or 0) for key in ("items", "documents"))
    yield f"Searched for {items:,} items of {named}: rule {rule}, action {action}. {documents:,} documents quote one."
    yield ""


def _reading(dataset: Dataset) -> Iterator[str]:
    source = dataset.source or "FOLDER"
    yield "## Reading it"
    yield ""
    code = ["from datasets import load_dataset", "", f'documents = load_dataset("{source}", split="train", streaming=True)']
    yield from _fenced("\n".join(code), "python")


def _fenced(text: str, language: str) -> Iterator[str]:
    """A block of code; its fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in text.replace("\n", " ").split(" ") if set(run) == {"`"}), default=0)
    longest = max(longest, max((len(line) - len(line.lstrip("`")) for line in text.splitlines()), default=0))
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield text.rstrip("\n")
    yield fence
    yield ""


def _size(bytes_: float) -> str:
    return _count(bytes_, (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)), " B")


def _count(
    number: float, units: Sequence[tuple[str, float]] = (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)), one: str = ""
) -> str:
    for unit, scale in units:
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number:.0f}{one}"
