"""The `[[rule]]` table of the configuration file -> a rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from ..auth.problems import nearest
from ..auth.table import Name
from ..kit.networks import read_network
from ..kit.text import ae_title
from ..wire.dimse import CommandField
from .rule import Rule, criterion
from .services import SERVICES, requests_of

EVERYTHING = "*"
"""In `allow`: all that the PACS allows, also what no service has."""
UID = re.compile(r"(?=.{1,64}$)(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")  # PS3.5 9.1
"""What a rule takes for a SOP class."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _service(word: str) -> str:
    if word in SERVICES or word == EVERYTHING or UID.fullmatch(word):
        return word
    raise ValueError(f"no service is called {word!r}{nearest(word, SERVICES)}; `dicomgate rules services` prints them")


def _alone(words: list[str]) -> list[str]:
    if EVERYTHING in words and len(words) > 1:
        raise ValueError('"*" is everything: remove the others, or "*"')
    return words


def _network(text: str) -> str:
    read_network(text)
    return text


def _where_to(titles: list[str] | None, info: ValidationInfo) -> list[str] | None:
    if "allow" not in info.data:  # it is wrong itself, and that is said
        return titles
    allowed = info.data["allow"]
    moves = [[_moves(sop_class) for sop_class in classes_of([word])] for word in allowed]
    if titles is None:
        if any(map(all, moves)):  # a word that is nothing but C-MOVE
            raise ValueError('is missing: write where move may send to: "own", AE titles, or "*" for anywhere')
    elif allowed == [EVERYTHING]:
        raise ValueError('allow = "*" includes all destinations: write the services in allow instead')
    elif not any(map(any, moves)):
        raise ValueError('only "move" needs them: add it to allow, or remove destinations')
    return titles


def _moves(sop_class: bytes) -> bool:
    return CommandField.C_MOVE_RQ in requests_of(sop_class)


def classes_of(words: Iterable[str]) -> frozenset[bytes]:
    """The SOP classes of these services; a UID is its own."""
    return frozenset(
        sop_class
        for word in words
        for sop_class in (SERVICES[word].classes if word in SERVICES else [word.encode("ascii")])
    )


def _list(of: Any) -> tuple[Any, ...]:
    """What makes a list take a single text, too; also in the schema for editors."""
    return BeforeValidator(_as_list, json_schema_input_type=of | list[of]), Field(min_length=1)


_WORDS = {"anyOf": [{"enum": [*SERVICES, EVERYTHING]}, {"type": "string", "pattern": "^[0-9.]+$"}]}
Word = Annotated[str, AfterValidator(_service), WithJsonSchema(_WORDS)]
Texts = Annotated[list[Annotated[str, Field(min_length=1)]], *_list(str)]
Titles = Annotated[list[Annotated[str, AfterValidator(ae_title)]], *_list(str)]


class RuleTable(BaseModel):
    """One `[[rule]]` table. A list of one text may be written as the text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    name: Name
    allow: Annotated[list[Word], *_list(Word), AfterValidator(_alone)]
    destinations: Annotated[Titles | None, AfterValidator(_where_to)] = Field(default=None, validate_default=True)
    listeners: Texts | None = None
    authenticators: Texts | None = None
    users: Texts | None = None
    groups: Texts | None = None
    attributes: Annotated[dict[str, Texts], Field(min_length=1)] | None = None
    networks: Annotated[list[Annotated[str, AfterValidator(_network)]], *_list(str)] | None = None
    calling_ae_titles: Titles | None = None
    called_ae_titles: Titles | None = None
    upstreams: Texts | None = None

    @property
    def rule(self) -> Rule:
        """What the table says."""
        everything = EVERYTHING in self.allow
        classes = [] if everything else classes_of(self.allow)
        return Rule(
            self.name,
            frozenset(one for one in classes if self.destinations is not None or not _moves(one)),
            everything,
            _tuple(self.destinations) or (),
            listeners=criterion(self.listeners),
            authenticators=criterion(self.authenticators),
            users=criterion(self.users),
            groups=criterion(self.groups),
            attributes={name: frozenset(values) for name, values in (self.attributes or {}).items()} or None,
            networks=tuple(map(read_network, self.networks or ())) or None,
            calling_ae_titles=_tuple(self.calling_ae_titles),
            called_ae_titles=_tuple(self.called_ae_titles),
            upstreams=criterion(self.upstreams),
        )


def _tuple(texts: list[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)
