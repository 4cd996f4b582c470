"""What the demonstration prints: its results and what is wrong with them, and how to go on by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..net.listener import Address
from ..wire.dimse import SUCCESS
from ..wire.reject_abort import AssociateReject
from .client import Visit
from .egress import ADMITTED
from .folder import AUDIT, CONFIGURATION, DENIED, PACS, SLICE, VIEWER
from .pacs import Sighting
from .scenarios import CLIENT, Accepted, Answer, Login, Scenario

_PIPE_WIDTH = 200


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario that was carried out; `audited` is the reason in the audit. It is right if `problems` is empty."""

    scenario: Scenario
    visit: Visit
    sighting: Sighting
    audited: str
    problems: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", list(_problems(self)))


def _problems(result: Result) -> Iterator[str]:
    scenario, visit, sighting = result.scenario, result.visit, result.sighting
    yield from visit.problems
    if visit.answer != scenario.answer:
        yield f"the client must see {scenario.answer}"
    connections, identities = (1, ["none"]) if isinstance(scenario.answer, Accepted) else (0, [])
    if sighting.connections != connections or sighting.identities != identities:
        yield f"the PACS must see {'one association without identity' if connections else 'no connection'}"
    if sighting.stored != visit.stored:
        yield "what the PACS stored is not what was sent"
    if visit.moves != scenario.moves:
        yield f"the C-MOVEs must be answered with {_statuses(scenario.moves)}"
    if sighting.moves != [destination for destination, status in scenario.moves.items() if status == SUCCESS]:
        yield "the PACS must see the C-MOVEs that are granted, and no other"
    if scenario.egress and not result.audited.startswith(ADMITTED):
        yield "the audits of both gateways must say whom they admitted"
    if not result.audited or scenario.denied is not (DENIED in result.audited):
        yield f"the audit must say {'what was denied' if scenario.denied else 'why'}"


def make_console() -> Console:
    """Standard output. A pipe has no width: what is printed there is cut nowhere."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def progress_bar(console: Console) -> Progress:
    """A bar for the slices, gone when they are sent; nothing in a pipe."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def print_results(console: Console, results: Sequence[Result]) -> None:
    """Print the table: a line for each scenario, and below it in red what is wrong."""
    shape = box.SIMPLE_HEAD if console.is_terminal else None
    table = Table("", "client sends", "client sees", "PACS sees", "audit says", box=shape, pad_edge=False)
    for result in results:
        mark = Text("WRONG", "bold red") if result.problems else Text("ok", "green")
        sent, answer = Text(result.scenario.sent), _answer(result.visit.answer)
        if result.visit.moves:
            answer.append(f"; C-MOVE {_statuses(result.visit.moves)}")
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
        return Text(str(answer).replace("A-ASSOCIATE-AC", "AC"), "green")
    if isinstance(answer, AssociateReject):
        return Text(f"RJ {answer.result},{answer.source},{answer.reason}", "yellow")
    return Text(f"A-ABORT {answer.source},{answer.reason}", "yellow")


def _sighting(sighting: Sighting) -> Text:
    if not sighting.connections:
        return Text("nothing")
    told = [f"identity: {identity}" for identity in sighting.identities] or ["a connection"]
    if sighting.stored:
        told.append(f"{len(sighting.stored)} slices")
    told += [f"C-MOVE to {destination}" for destination in sighting.moves]
    return Text(", ".join(told))


def _statuses(moves: Mapping[str, int]) -> str:
    return ", ".join(f"{status:04X}H" for status in moves.values())


def by_hand(kept: Path | None) -> str:
    """After the demonstration: how to set up a gateway. `kept` is the folder, if it stays."""
    files = f"The files stay in {kept}; the passcode is lost" if kept else "The users file is gone"
    return f"""\
{files}. `dicomgate demo --keep` goes on serving, and prints the passcode.
By hand, in front of your own PACS:

  dicomgate init gate && cd gate           # {CONFIGURATION}; the users file, with one generated passcode for alice
  dicomgate passcode add bob               # asks for the passcode
  dicomgate check                          # what is wrong with {CONFIGURATION}, with file, line and key
  dicomgate serve                          # until Ctrl-C; then, in another terminal:
  dicomgate echo 127.0.0.1:11112 --user alice
  storescu -usr alice -pwd PASSCODE 127.0.0.1 11112 SLICE.dcm"""


def by_hand_here(folder: Path, address: Address, egress: Address, page: int | None, login: Login) -> str:
    """While PACS and gateway go on serving: what to try. Only this text shows the passcodes."""
    host, port = address
    tool = f"{egress[0]}:{egress[1]} --calling {CLIENT}"
    return f"""\
The gateway serves on {host}:{port} until Ctrl-C; the files stay in {folder}.
The user is {login.user}, the passcode {login.passcode}; a {VIEWER}, who may not store, has {login.others[VIEWER]}.
By hand, in another terminal:

  cd {folder}
  dicomgate check                          # what is wrong with {CONFIGURATION}, with file, line and key
  dicomgate passcode add alice             # asks for the passcode; alice can log in at once
  dicomgate echo {host}:{port} -r --user {login.user} --called {PACS}
  dicomgate echo {tool} --called {PACS}       # without a login: the egress adds it
  storescu -usr {login.user} -pwd {login.passcode} -aec {PACS} {host} {port} {SLICE}
  storescu -usr {VIEWER} -pwd {login.others[VIEWER]} -aec {PACS} {host} {port} {SLICE}
  tail -f {AUDIT}                      # who was admitted, who was not, and why
  dicomgate status                         # the same as a summary, with the last refusals
{_page(page, login)}
For a gateway in front of your own PACS: dicomgate init, dicomgate check, dicomgate serve."""


def _page(port: int | None, login: Login) -> str:
    return "" if port is None else f"\nThe status page: 127.0.0.1:{port} in a browser; log in as {login.user}.\n"
