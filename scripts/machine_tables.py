"""Write what docs/architecture.md shows of the two machines' legal moves, from `association/transitions.py`.

The document says what the code does because it is made from it; tests/docs compares the two. Run it without arguments
after a change of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from dicomgate.association import transitions

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
_TOO_LATE = "-"


class Machine(NamedTuple):
    """One machine: its states, its inputs and its table of moves."""

    states: type[Enum]
    inputs: type[Enum]
    moves: transitions.Transitions[Any, Any]


MACHINES: Mapping[str, Machine] = {
    "handshake": Machine(transitions.HandshakeState, transitions.HandshakeInput, transitions.HANDSHAKE),
    "established": Machine(transitions.EstablishedState, transitions.EstablishedInput, transitions.ESTABLISHED),
}


def states(machine: Machine) -> str:
    """What each state is."""
    rows = [f"| `{state.name}` | {state.value} |" for state in machine.states]
    return "\n".join(["| state | the gateway is |", "| --- | --- |", *rows])


def moves(machine: Machine) -> str:
    """The table: an input for each row, a state for each column, the states it may lead to in the cells."""
    columns = [state for state in machine.states if machine.moves[state]]
    head = "| input | what happened | " + " | ".join(f"in `{state.name}`" for state in columns) + " |"
    rows = [
        f"| `{name.name.lower()}` | {name.value} | {' | '.join(_cell(machine, state, name) for state in columns)} |"
        for name in machine.inputs
    ]
    return "\n".join([head, "| --- " * (len(columns) + 2) + "|", *rows])


def _cell(machine: Machine, state: Enum, name: Enum) -> str:
    targets = machine.moves[state].get(name, ())
    return ", ".join("stays" if target is state else target.name for target in targets) or _TOO_LATE


def diagram(machine: Machine) -> str:
    """The same as a mermaid state diagram; inputs that leave the state as it is are not drawn."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(machine.states)).name}"]
    for state, row in machine.moves.items():
        for target in machine.states:
            names = [name.name.lower() for name, targets in row.items() if target in targets and target is not state]
            if names:
                lines.append(f"    {state.name} --> {target.name}: {', '.join(names)}")
        if not row:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join([*lines, "```"])


def rewritten(page: str) -> str:
    """The page with everything between its marker comments made anew. Raises ValueError if a marker is missing."""
    for machine_name, machine in MACHINES.items():
        for part in (states, moves, diagram):
            name = f"{machine_name} {part.__name__}"
            before, begin, rest = page.partition(f"<!-- begin {name} -->\n")
            _, end, after = rest.partition(f"<!-- end {name} -->")
            if not begin or not end or begin in after:
                raise ValueError(f"the markers of {name!r} are not there once")
            page = f"{before}{begin}\n{part(machine)}\n\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
