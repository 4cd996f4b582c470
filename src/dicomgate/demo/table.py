"""How it looks: a table on a terminal; plain lines in a pipe or a file."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..wire.reject_abort import AssociateReject
from .pacs import Sighting
from .scenarios import Accepted, Answer
from .verdict import Result

_PIPE_WIDTH = 200


def make_console() -> Console:
    """Standard output. A pipe has no width: what is printed there is cut nowhere."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def progress_bar(console: Console) -> Progress:
    """A bar for the slices, gone when they are sent; nothing in a pipe."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def print_results(console: Console, results: Sequence[Result]) -> None:
    """Print the table: a line for each row, and below it in red what is not as it should be."""
    shape = box.SIMPLE_HEAD if console.is_terminal else None
    table = Table("", "client sends", "client sees", "PACS sees", "audit says", box=shape, pad_edge=False)
    for result in results:
        mark = Text("WRONG", "bold red") if result.problems else Text("ok", "green")
        sent, answer = Text(result.row.sent), _answer(result.visit.answer)
        table.add_row(mark, sent, answer, _sighting(result.sighting), Text(result.audited, "dim"))
        for problem in result.problems:
            table.add_row("", Text(problem, "red"))
    console.print(table)


def print_throughput(console: Console, results: Sequence[Result]) -> None:
    """Print how many slices went through, and how fast."""
    slices = sum(len(result.visit.stored) for result in results)
    megabytes = sum(result.visit.octets for result in results) / 1e6
    seconds = sum(result.visit.seconds for result in results)
    rate = f", {megabytes / seconds:.0f} MB/s" if seconds else ""
    how = "client, gateway and PACS in one Python process"
    console.out(f"{slices} slices, {megabytes:.1f} MB in {seconds:.1f} s{rate} ({how})")


def _answer(answer: Answer | None) -> Text:
    if answer is None:
        return Text("nothing", "red")
    if isinstance(answer, Accepted):
        response = answer.server_response
        return Text("AC" if response is None else f"AC, 59H with {len(response)} bytes", "green")
    if isinstance(answer, AssociateReject):
        return Text(f"RJ {answer.result},{answer.source},{answer.reason}", "yellow")
    return Text(f"A-ABORT {answer.source},{answer.reason}", "yellow")


def _sighting(sighting: Sighting) -> Text:
    if not sighting.connections:
        return Text("nothing")
    told = [f"identity: {identity}" for identity in sighting.identities] or ["a connection"]
    if sighting.stored:
        told.append(f"{len(sighting.stored)} slices")
    return Text(", ".join(told))
