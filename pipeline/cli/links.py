"""``goldwash pagerank``: ranks of hosts from the links of one's own pages."""

from typing import Annotated

import typer

from goldwash.pipeline.cli.options import Inputs
from goldwash.pipeline.cli.terminal import command, notify, say
from goldwash.text_output import printable

app = typer.Typer()

SHOWN = 10


@app.command()
def pagerank(
    input: Inputs,
    out_file: Annotated[str, typer.Option("--out", help="The file of ranks to write, such as ranks.txt or ranks.txt.gz.")],
    damping: Annotated[float, typer.Option(min=0.0, max=0.999, help="The probability of following a link.")] = 0.85,
) -> None:
    """Rank hosts by PageRank, from shards with a column of links (extract.links=true) or from WAT files."""
    from goldwash.pipeline.link_graph import graph_of, page_rank, write_ranks
    from goldwash.pipeline.storage.ownership import check_file

    check_file(out_file, (".txt", ".tsv", ".gz"), input)
    graph = graph_of(input, notify)
    hosts, source, target = graph.edges()
    ranks = page_rank(len(hosts), source, target, damping)
    write_ranks(hosts, ranks, out_file)
    if graph.broken:
        notify(f"warning: {graph.broken:,} metadata records were no JSON, and were left out.")
    say(f"{graph.pages:,} pages, {graph.links:,} links: {len(hosts):,} hosts, {len(source):,} links between them")
    for n in sorted(range(len(hosts)), key=lambda n: (-ranks[n], hosts[n]))[:SHOWN]:
        say(f"  {ranks[n]:.6f}  {printable(hosts[n])}")
    say(f"use it:  {command()} score pagerank:{out_file} --input SHARDS --out DIR")
