"""The options of the commands that train proxies on datasets and compare them: `compare` and `ablate`.

Invariants: `Comparing` is the only list of these options. `comparing` gives them to a command, which gets them as one argument.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
    from goldwash.evidence.compare.documents import Named
    from goldwash.evidence.compare.experiment import Settings
    from goldwash.evidence.compare.learners import Learner


@dataclass(frozen=True)
class Comparing:
    """What is trained, on how much, and what it is asked."""

    targets: Annotated[
        list[str],
        typer.Option(
            "--targets",
            help="Texts to predict, as PLACE or NAME=PLACE: files of texts, a run, a stage, mmlu or another benchmark known by "
            "name, or sample. Several may follow.",
        ),
    ]
    proxy: Annotated[
        list[str],
        typer.Option("--proxy", help="What is trained: ngram (no extra) or gpt (extra proxy: JAX). Several may follow."),
    ] = field(default_factory=lambda: ["ngram"])
    size: Annotated[str, typer.Option("--size", help="gpt: 0.5M, 1M, 2M, 4M, 8M, 15M or 30M parameters.")] = "0.5M"
    rate: Annotated[
        list[float] | None,
        typer.Option(
            "--rate", help="gpt: learning rates, such as 1e-3 1e-4. A changed ranking is reported. Several may follow."
        ),
    ] = None
    order: Annotated[int, typer.Option("--order", help="ngram: the longest n-gram.")] = 5
    tokens: Annotated[
        str | None,
        typer.Option("--tokens", help="Tokens of each sample, as 2M. Without it, half of the smallest dataset; at most 2M."),
    ] = None
    seeds: Annotated[int, typer.Option("--seeds", help="Samples per dataset.")] = 5
    seed: Annotated[int, typer.Option("--seed", help="The first seed.")] = 0
    points: Annotated[int, typer.Option("--points", help="Budgets on the curve, each twice the one before.")] = 6
    repeats: Annotated[float, typer.Option("--repeats", help="Passes over each sample.")] = 1.0
    run_tokens: Annotated[
        str | None,
        typer.Option(
            "--run-tokens", help="Tokens of the large run: a dataset that has fewer is repeated here as often as there."
        ),
    ] = None
    vocabulary: Annotated[
        int, typer.Option("--vocabulary", help="Tokens of the tokenizer that is trained on the datasets.")
    ] = 4096
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="A byte-level tokenizer.json to use instead, for all datasets.")
    ] = None
    kinds: Annotated[
        bool, typer.Option("--kinds", help="Also by kind of bytes: prose, digits, URLs, white space, non-ASCII.")
    ] = False
    overlap: Annotated[
        float,
        typer.Option("--overlap", help="Leave out a target text if a dataset holds this fraction of its words, in runs of 13."),
    ] = 0.5
    json: Annotated[str | None, typer.Option("--json", help="Write the answers as JSON to this file, or - for stdout.")] = None

    def settings(self) -> "Settings":
        """The settings of the comparison."""
        from goldwash.evidence.compare.experiment import Settings
        from goldwash.evidence.quantities import quantity

        budget = int(quantity(self.tokens, "--tokens")) if self.tokens is not None else None
        run = quantity(self.run_tokens, "--run-tokens") if self.run_tokens is not None else None
        return Settings(budget, self.seeds, self.seed, self.points, self.repeats, run, self.vocabulary, self.overlap)

    def asked(self) -> "list[Named]":
        """The targets with their names."""
        return [named(text, "target") for text in self.targets]

    def own_tokenizer(self) -> "ByteTokenizer | None":
        """The tokenizer of the file that was named; None where none was."""
        from goldwash.classifiers.ngram.tokenizer import ByteTokenizer

        return ByteTokenizer.load(self.tokenizer) if self.tokenizer is not None else None

    def learners(self, vocab: int) -> "list[Learner]":
        """What is trained. Raises `EvidenceError` for an unknown proxy, and where JAX is not installed."""
        from goldwash.evidence.compare.learners import Ngrams, Transformer
        from goldwash.evidence.errors import EvidenceError

        out: list[Learner] = []
        for proxy in dict.fromkeys(self.proxy):
            if proxy == "ngram":
                out.append(Ngrams(vocab, self.order))
            elif proxy == "gpt":
                from goldwash.evidence.proxies import gpt  # noqa: F401  (says early that JAX is missing)

                out += [Transformer(vocab, self.size, rate) for rate in self.rate or [1e-3]]
            else:
                raise EvidenceError(f"--proxy: expected ngram or gpt, found {proxy!r}")
        return out


def comparing(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of `Comparing` in place of its argument ``how``, which it gets as one."""

    @wraps(command)
    def whole(**given: Any) -> None:
        how = Comparing(**{option.name: given.pop(option.name) for option in fields(Comparing)})
        command(how=how, **given)

    hints = get_type_hints(Comparing, include_extras=True)
    options = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=_default(f), annotation=hints[f.name])
        for f in fields(Comparing)
    ]
    own = inspect.signature(command, eval_str=True).parameters.values()
    parts = [part for p in own for part in (options if p.name == "how" else [p.replace(kind=inspect.Parameter.KEYWORD_ONLY)])]
    whole.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    whole.__annotations__ = {part.name: part.annotation for part in parts}
    return whole


def _default(option: Any) -> Any:
    if option.default_factory is not MISSING:
        return option.default_factory()
    return inspect.Parameter.empty if option.default is MISSING else option.default


def named(text: str, what: str) -> "Named":
    """NAME=PLACE, or a place, whose name is the last part without its ending. Raises `EvidenceError` for an empty one."""
    from goldwash.evidence.compare.documents import Named
    from goldwash.evidence.errors import EvidenceError

    name, equals, place = text.partition("=")
    if not equals or "/" in name or ":" in name:  # a path or a URL may hold an equals sign
        name, place = Path(text.rstrip("/")).name.partition(".")[0], text
    if not name.strip() or not place.strip():
        raise EvidenceError(f"{what}: expected NAME=PLACE, found {text!r}")
    return Named(name.strip(), (place,))
