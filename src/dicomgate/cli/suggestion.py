"""Suggested rules as TOML, for a person to read, edit and put into the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from ..rights.rule import OWN
from ..rights.suggest import Suggestion
from ..rights.work import ANY, Work

_WIDTH = 118
_HEAD = "Read each rule and make it wider or narrower, before you put it into the configuration."


def in_toml(work: Work, suggestions: Sequence[Suggestion]) -> str:
    """The rules, each under what a person should know of it; what they do not tell comes first."""
    return "\n".join([*_introduction(work), *(line for one in suggestions for line in _rule(one))])


def left_out(work: Work) -> list[str]:
    """What could not be told, each with its number."""
    return [f"{reason}: {count}" for reason, count in sorted(work.left_out.items())]


def _introduction(work: Work) -> Iterator[str]:
    begin, end = (f"{moment:%Y-%m-%d}" if moment else "?" for moment in (work.first, work.last))
    yield f"# The work of {_counted(work.associations, 'association')}, from {begin} to {end}."
    yield f"# {_HEAD}"
    yield from (f"# Left out: {line}" for line in left_out(work))


def _rule(one: Suggestion) -> Iterator[str]:
    kind = "device" if one.key == "calling_ae_titles" else "user"
    yield ""
    yield f"# {_counted(one.associations, 'association')} of {_counted(one.clients, kind)}"
    if one.rarely:
        few = ", ".join(f"{word} ({count})" for word, count in one.rarely.items())
        yield f"# used by few of these {one.clients} {kind}s: {few}"
    if one.unused:
        yield f"# accepted by the PACS, never used: {', '.join(one.unused)}"
    if one.unobserved:
        yield f"# of {_counted(one.unobserved, 'association')} only what was accepted is known, not what was used"
        if "get" in one.allow and "store" not in one.allow:
            yield "# storage is taken for a part of get: add store if they also send"
    if ANY in one.destinations:
        yield "# the destinations are not known: write them in place of *"
    yield "[[rule]]"
    yield f"name = {_text(one.name)}"
    yield from _list("authenticators", one.authenticators)
    yield from _list(one.key, one.names)
    yield from _list("calling_ae_titles", one.titles)
    yield from _list("networks", one.networks)
    yield from _list("upstreams", one.upstreams)
    yield from _list("allow", one.allow)
    if one.destinations == (OWN,):
        yield f"destinations = {_text(OWN)}"
    else:
        yield from _list("destinations", one.destinations)


def _list(key: str, values: Iterable[str]) -> Iterator[str]:
    """A key with its values, on one line if they fit; nothing without values."""
    texts = [_text(value) for value in values]
    line = f"{key} = [{', '.join(texts)}]"
    if len(line) > _WIDTH:
        yield from [f"{key} = [", *(f"  {text}," for text in texts), "]"]
    elif texts:
        yield line


def _text(value: str) -> str:
    """A basic string of TOML. All of these are printable, so that JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
