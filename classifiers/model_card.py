"""The model card of a trained classifier, in Markdown.

Invariants: every figure comes from the report that `goldwash.classifiers.train` writes. File names, sources and words come from
data and are escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from goldwash.text_output import markdown_code


def model_card(report: Mapping[str, Any]) -> str:
    """The model card, Markdown."""
    left_out, words = report["left_out"], report["words"]
    parts = [
        "# Model card",
        _kind(report),
        *(f"**Warning:** {warning}." for warning in report["warnings"]),
        "## Training data",
        _table(("source", "examples"), ((markdown_code(s), f"{n:,}") for s, n in report["sources"].items())),
        f"Held-out examples left out as near copies of training examples: {left_out['near_copies_of_learned']:,}; excluded "
        f"because they quote a benchmark: {left_out['excluded']:,}. Settings: "
        + ", ".join(f"{k} {v}" for k, v in report["settings"].items())
        + ".",
        f"## On {report['held_out']:,} held-out examples",
        _table(("", ""), ((name, _shown(value)) for name, value in _figures(report))),
        _table(
            ("score", "examples", "mean score", "positive"),
            (
                (
                    f"{b['from']:.1f} to {b['to']:.1f}",
                    f"{b['examples']:,}",
                    f"{b['mean_score']:.3f}",
                    f"{b['positive_share']:.3f}",
                )
                for b in report["calibration"]
            ),
        ),
        _table(("source", "mean score"), ((markdown_code(s), f"{m:.3f}") for s, m in report["mean_score_by_source"].items())),
        _table(
            ("source", "standard deviation of scores"),
            ((markdown_code(s), f"{d:.3f}") for s, d in report["deviation_by_source"].items()),
        ),
        "If the source alone tells the classes apart (an AUC near 1) and scores hardly vary within sources, the classifier may "
        "rank sources, not quality: give both classes from the same sources.",
        *(
            []
            if "features" in report
            else [
                "## Most influential words",
                f"Towards `hq`: {_words(words['towards'])}",
                f"Away from `hq`: {_words(words['away'])}",
            ]
        ),
        "## Use",
        _use(report),
        "Scores of different models cannot be compared: keep a fraction, not another model's threshold. The classifier knows "
        "only the languages and kinds of text that it was trained on.",
    ]
    return "\n\n".join(parts) + "\n"


def _kind(report: Mapping[str, Any]) -> str:
    if "features" not in report:
        return (
            "A fastText classifier of text quality, trained by goldwash as DCLM-Baseline's was (arXiv 2406.11794, section 4.4)."
            " The score is the probability of the label `hq`."
        )
    return (
        f"Logistic regression on {report['dimension']} numbers of the embedding {markdown_code(report['features'])}, trained "
        "by goldwash. The score is the probability of the label `hq`."
    )


def _use(report: Mapping[str, Any]) -> str:
    if "features" not in report:
        return (
            "`goldwash score model.fold --input SHARDS --out DIR`, or `--set quality.model=model.fold` in a recipe. Any "
            "fastText reads `model.bin`; give it each text as one line, its lines joined by spaces."
        )
    return (
        "`goldwash score embedding:model.head --input SHARDS --out DIR`, or `--set quality.model=embedding:model.head` in a "
        "recipe. Every machine needs the embedding."
    )


def _figures(report: Mapping[str, Any]) -> list[tuple[str, Any]]:
    top, web, length = report["at_fraction"] or {}, report["at_negative_fraction"] or {}, report["length_alone"]
    source, fraction = report["source_alone"], f"{report['settings']['fraction']:.0%}"
    return [
        ("AUC", report["auc"]),
        ("accuracy at 0.5", report["accuracy"]),
        (f"precision, best {fraction} of the held-out examples", top.get("precision")),
        (f"recall, best {fraction} of the held-out examples", top.get("recall")),
        (f"recall if {fraction} of the negatives are kept", web.get("recall")),
        ("AUC of the number of bytes alone", length["auc_of_bytes"]),
        ("AUC of the number of newlines alone", length["auc_of_newlines"]),
        ("AUC among texts of similar length", length["auc_at_like_length"]),
        ("rank correlation of bytes and score", length["rank_correlation_of_bytes_and_score"]),
        ("AUC of the source alone", source["auc"]),
        ("AUC within sources", source["auc_within"]),
        ("standard deviation of scores", source["deviation"]),
        ("standard deviation of scores within sources", source["deviation_within"]),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: the first column to the left, numbers to the right."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace("|  |", "| |").replace("|  |", "| |")


def _words(ranked: Sequence[Sequence[Any]]) -> str:
    return ", ".join(markdown_code(word) for word, _ in ranked) + "." if ranked else "none."


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
