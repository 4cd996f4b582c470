"""Write what docs/architecture.md shows of the handshake's legal moves, from `association/transitions.py`.

The document says what the code does because it is made from it; tests/docs compares the two. Run it without arguments
after a change of the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dicomgate.association.transitions import HANDSHAKE, HandshakeInput, HandshakeState

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
_TOO_LATE = "-"


def states() -> str:
    """What each state is."""
    rows = [f"| `{state.name}` | {state.value} |" for state in HandshakeState]
    return "\n".join(["| state | the gateway is |", "| --- | --- |", *rows])


def moves() -> str:
    """The table: an input for each row, a state for each column, the states it may lead to in the cells."""
    columns = [state for state in HandshakeState if HANDSHAKE[state]]
    head = "| input | " + " | ".join(f"in `{state.name}`" for state in columns) + " |"
    rows = [
        f"| `{name.name.lower()}` | {' | '.join(_cell(state, name) for state in columns)} |" for name in HandshakeInput
    ]
    return "\n".join([head, "| --- " * (len(columns) + 1) + "|", *rows])


def _cell(state: HandshakeState, name: HandshakeInput) -> str:
    targets = HANDSHAKE[state].get(name, ())
    return ", ".join("stays" if target is state else target.name for target in targets) or _TOO_LATE


def diagram() -> str:
    """The same as a mermaid state diagram; inputs that leave the state as it is are not drawn."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(HandshakeState)).name}"]
    for state, row in HANDSHAKE.items():
        for target in HandshakeState:
            names = [name.name.lower() for name, targets in row.items() if target in targets and target is not state]
            if names:
                lines.append(f"    {state.name} --> {target.name}: {', '.join(names)}")
        if not row:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join([*lines, "```"])


def rewritten(page: str) -> str:
    """The page with everything between its marker comments made anew. Raises ValueError if a marker is missing."""
    parts: Mapping[str, str] = {"states": states(), "moves": moves(), "diagram": diagram()}
    for name, text in parts.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        page, found = pattern.subn(lambda match, text=text: f"{match[1]}\n{text}\n\n{match[2]}", page)
        if found != 1:
            raise ValueError(f"the markers of {name!r} are there {found} times")
    return page


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
