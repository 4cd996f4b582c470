"""What `dicomgate ask --may` adds: which rules match, and whether they allow what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import typer
from pydantic import TypeAdapter

from ..association.admission import Admit, Policy
from ..auth.chain import Chain
from ..contract import Accept
from ..errors import ConfigError, NegativeAnswer
from ..events.log import quoted
from ..rights.rights import Rights, rights_of
from ..rights.rule import Who
from ..rights.services import requests_of
from ..rights.table import EVERYTHING, RuleTable, Word, classes_of
from ..wire.dimse import CommandField
from ..wire.reject_abort import NO_CONTEXT
from .options import IdentityOptions, ae_title, parsed
from .output import print_table

MayOption = Annotated[
    str | None,
    typer.Option("--may", metavar="SERVICE", help="Also whether the rules allow this service, or SOP class."),
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="AE", help="The destination of the C-MOVE.")]
GroupsOption = Annotated[
    str | None,
    typer.Option(
        "--groups", metavar="A,B", help="Ask no authenticator: as if one had accepted --user with these groups."
    ),
]
AuthenticatorOption = Annotated[
    str | None, typer.Option("--authenticator", metavar="NAME", help="With --groups: the one that had accepted.")
]
_WORD: TypeAdapter[str] = TypeAdapter(Word)


class Wanted(NamedTuple):
    """What somebody wants to do: a service or a SOP class, and with a C-MOVE where to, if it was said."""

    service: str
    classes: frozenset[bytes]
    destination: str | None

    def granted_by(self, rights: Rights) -> frozenset[bytes]:
        """Those of its SOP classes with which it may be done."""
        if self.destination is None:
            return frozenset(filter(rights.grants, self.classes))
        return frozenset(one for one in self.classes if rights.may_move(one, self.destination))

    def __str__(self) -> str:
        return self.service if self.destination is None else f"{self.service} to {quoted(self.destination)}"


def wanted(
    service: str | None, destination: str | None, groups: str | None, authenticator: str | None
) -> Wanted | None:
    """What `--may` and `--to` ask; None without. Raises ConfigError, also for options that need another one."""
    if authenticator is not None and groups is None:
        raise ConfigError("--authenticator is for --groups: without them, the authenticators are asked")
    if service is None:
        if destination is not None or groups is not None:
            raise ConfigError("--to and --groups are for --may: say what is wanted")
        return None
    word = parsed(_WORD, service)
    if word == EVERYTHING:
        raise ConfigError("--may asks for one service, or one SOP class: `dicomgate rules services` prints them")
    classes = classes_of([word])
    if destination is not None:
        classes = frozenset(one for one in classes if CommandField.C_MOVE_RQ in requests_of(one))
        if not classes:
            raise ConfigError(f"--to is the destination of a C-MOVE, and {word} has none")
    return Wanted(word, classes, None if destination is None else ae_title(destination))


def as_if(chain: Chain, who: IdentityOptions, groups: str, authenticator: str | None) -> Admit:
    """As if an authenticator of the listener had accepted the user with these groups. Raises ConfigError."""
    if who.given() and who != IdentityOptions(user=who.user):
        raise ConfigError("with --groups nobody is asked: beside it, --user alone says who it is")
    names = [link.name for link in chain.links]
    if authenticator is None and len(names) > 1:
        raise ConfigError(f"choose an --authenticator: {', '.join(names)}")
    if authenticator is not None and authenticator not in names:
        raise ConfigError(f"the listener asks no authenticator {authenticator!r}; it asks: {', '.join(names)}")
    accept = Accept(who.user or "", frozenset(name for group in groups.split(",") if (name := group.strip())))
    return Admit(accept, authenticator or names[0], None)


def explain(asked: Wanted, who: Who, policy: Policy, rules: Sequence[RuleTable]) -> None:
    """Print each rule, the rights, and the answer. Raises NegativeAnswer if it is no."""
    if policy.rights is None:
        typer.echo("may: everything that the PACS allows; there are no rules")
        return
    matching = [table for table in rules if not table.rule.miss(who)]
    if rules:
        print_table(("rule", "answer", ""), [_row(table, who) for table in rules])
    typer.echo(f"may: {', '.join(allowed(matching)) or 'nothing'}")
    if not policy.enforce_rights:
        typer.echo(f'listener {policy.listener} has rules = "report": it only records what it would refuse')
    rights = policy.rights(who)
    if asked.granted_by(rights) != asked.classes:
        raise NegativeAnswer(_no(asked, rights))
    names = [table.name for table in matching if asked.granted_by(rights_of([table.rule], who))]
    typer.echo(f"yes: {asked}, by {', '.join(names)}")


def _row(table: RuleTable, who: Who) -> tuple[str, str, str]:
    key = table.rule.miss(who)
    if not key:
        return table.name, "matches", f"allows {', '.join(allowed([table]))}"
    return table.name, "does not match", f"{key}: {_missed(table, key, who)}"


def _missed(table: RuleTable, key: str, who: Who) -> str:
    """What was there, and what the rule needs."""
    if key == "attributes":
        name, values = next((n, v) for n, v in (table.attributes or {}).items() if who.attributes.get(n) not in v)
        has = who.attributes.get(name)
        return f"{name} is {_listed([] if has is None else [has])}, and must be {_listed(values)}"
    wants: Iterable[str] = getattr(table, key)
    if key == "groups":
        return f"has {_listed(who.groups, ' and ')}, and needs {_listed(wants)}"
    has = who.address if key == "networks" else getattr(who, key.removesuffix("s"))
    return f"is {_listed([has] if has else [])}, and must be {_listed(wants)}"


def _listed(names: Iterable[str], between: str = " or ") -> str:
    return between.join(quoted(name) for name in sorted(names)) or "none"


def allowed(tables: Iterable[RuleTable]) -> list[str]:
    """What these rules allow together, each once, in their words."""
    found: dict[str, None] = {}
    for table in tables:
        for word in table.allow:
            if word == EVERYTHING:
                found["everything that the PACS allows"] = None
            elif table.destinations and any(CommandField.C_MOVE_RQ in requests_of(one) for one in classes_of([word])):
                found[f"{word} to {' or '.join(table.destinations)}"] = None
            else:
                found[word] = None
    return list(found)


def _no(asked: Wanted, rights: Rights) -> str:
    if granted := asked.granted_by(rights):
        return f"no: not all of {asked}, only {', '.join(sorted(one.decode('ascii') for one in granted))}"
    if not rights.rules:
        told = f"the client receives {NO_CONTEXT}"
    elif any(map(rights.grants, asked.classes)):
        told = "the client receives a C-MOVE-RSP with 0124H (Refused: Not authorized), and the association goes on"
    else:
        told = "the client's presentation contexts for it are answered with result 1 (user-rejection); "
        told += f"if it proposes nothing else, it receives {NO_CONTEXT}"
    return f"no: no rule that matches allows {asked}; {told}"
