"""Draw the legal moves of the two machines from the mermaid diagrams of docs/architecture.md, for the site.

The states of the way that leads on are one below the other; the state of a detour is a bar on their right and CLOSED is
one on their left, so that every other move is a level line. None crosses another, but for a move that passes over a
state: it goes around that. A state or a move without a place raises ValueError: then the picture must be thought anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Plan(NamedTuple):
    """Where the states of a machine are."""

    name: str
    way: tuple[str, ...]
    detour: str
    end: str = "CLOSED"


PLANS = (
    Plan(
        "handshake",
        ("REQUEST", "DECISION", "RECORDING", "PRESENTING", "CONNECTION", "ANSWER", "RELAYING"),
        "CLOSING",
    ),
    Plan("established association", ("OPEN", "RELEASING", "RELEASED"), "HALF_OPEN"),
)
ROW, HEIGHT, LINE = 104, 34, 14  # from a state to the next; of a state; of a line of text
LEFT, MIDDLE, RIGHT = (10, 90), (280, 140), (680, 90)  # where a column begins, and how wide it is
WIDTH = 780
AROUND = 24  # how far from its side: the further, the more states a move passes over
_MOVE = re.compile(r"^ *(\S+) --> (\w+|\[\*\])(?:: (.*))?$", re.MULTILINE)


def drawn(mermaid: str) -> str:
    """The diagram as HTML with an SVG in it. Raises ValueError for a move that there is no place for."""
    moves = {(start, end): inputs.split(", ") if inputs else [] for start, end, inputs in _MOVE.findall(mermaid)}
    first = next(end for start, end in moves if start == "[*]")
    plan = next((plan for plan in PLANS if plan.way[0] == first), None)
    if plan is None:
        raise ValueError(f"there is no plan for a machine that begins with {first}")
    shapes = [line for move, inputs in moves.items() for line in _move(plan, *move, inputs)]
    last = len(plan.way) - 1
    bottom = _top(last) + HEIGHT + 78
    return "\n".join(
        [
            '<div class="machine">',
            f'<svg viewBox="0 0 {WIDTH} {bottom + 8}" role="img" aria-label="The legal moves of the {plan.name}">',
            '<defs><marker id="tip" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">',
            '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
            *_box(plan.end, *LEFT, _top(0), bottom - _top(0)),
            *_box(plan.detour, *RIGHT, _top(0), _top(last - 1) + HEIGHT - _top(0)),
            *(line for row, state in enumerate(plan.way) for line in _box(state, *MIDDLE, _top(row), HEIGHT)),
            *shapes,
            "</svg>",
            "</div>",
        ]
    )


def _top(row: int) -> int:
    return 40 + row * ROW


def _move(plan: Plan, start: str, end: str, inputs: list[str]) -> Iterator[str]:
    """One move: a line and, above or beside it, the inputs that lead there."""
    centre, last = MIDDLE[0] + MIDDLE[1] // 2, len(plan.way) - 1
    if (start, end) == ("[*]", plan.way[0]):
        yield f'<circle cx="{centre}" cy="10" r="6"/>'
        yield _arrow(f"M{centre} 16V{_top(0)}")
    elif (start, end) == (plan.way[-1], "[*]"):
        below = _top(last) + HEIGHT
        yield _arrow(f"M{centre} {below}V{below + 22}")
        yield f'<circle cx="{centre}" cy="{below + 28}" r="6"/>'
    elif (start, end) == (plan.end, "[*]"):
        return  # the bar on the left is the end, and says so
    elif (start, end) in pairwise(plan.way):
        row = plan.way.index(start)
        yield _arrow(f"M{centre} {_top(row) + HEIGHT}V{_top(row + 1)}")
        yield from _text(inputs, centre + 8, _top(row) + HEIGHT + 20, "start")
    elif {start, end} <= set(plan.way):
        row, to, side = plan.way.index(start), plan.way.index(end), MIDDLE[0] + MIDDLE[1]
        out = AROUND * (2 * (to - row - 1) - row % 2)
        yield _arrow(f"M{side} {_top(row) + HEIGHT - 6}h{out}V{_top(to) + 6}H{side}")
        yield from _text(inputs, side + out + 6, _top(row) + HEIGHT + 20, "start")
    elif (start, end) == (plan.detour, plan.end):
        side, level = RIGHT[0] + RIGHT[1] // 2, _top(last) + HEIGHT + 62
        yield _arrow(f"M{side} {_top(last - 1) + HEIGHT}V{level}H{LEFT[0] + LEFT[1]}")
        yield from _text([", ".join(inputs)], (LEFT[0] + LEFT[1] + side) // 2, level - 6, "middle")
    elif start in plan.way and end in (plan.end, plan.detour):
        level = _top(plan.way.index(start)) + HEIGHT // 2
        near, far = (MIDDLE[0], LEFT[0] + LEFT[1]) if end == plan.end else (MIDDLE[0] + MIDDLE[1], RIGHT[0])
        yield _arrow(f"M{near} {level}H{far}")
        yield from _text(inputs, (near + far) // 2, level - 5 - LINE * (len(inputs) - 1), "middle")
    else:
        raise ValueError(f"there is no place for the move from {start} to {end}")


def _arrow(path: str) -> str:
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def _box(state: str, left: int, width: int, top: int, height: int) -> Iterator[str]:
    yield f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="5"/>'
    yield from _text([state], left + width // 2, top + height // 2 + 5, "middle", 15)


def _text(lines: list[str], x: int, y: int, anchor: str, size: int = 12) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f'<text x="{x}" y="{y + number * LINE}" font-size="{size}" text-anchor="{anchor}">{line}</text>'
