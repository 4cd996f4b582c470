"""What is required of associations: by a listener's table, or by a program that has no listener."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..association.admission import Policy
from ..auth.chain import Chain
from ..config.load import Configuration
from ..config.schema import ListenerTable
from ..net.server_state import Balancers, ListenerSnapshot
from ..rights.rights import rights_of
from ..rights.table import RuleTable
from .upstreams import routes

_SLACK = 4.0  # seconds on top of the links' deadlines: the shared state is asked three times for a decision
_UNNAMED = "embedded"


def listener_policy(configuration: Configuration, table: ListenerTable, chain: Chain) -> Policy:
    """What a listener requires. Of the rules, those that can concern who comes in by it."""
    tables, names = configuration.tables, {link.name for link in chain.links}
    rules = [rule for rule in (one.rule for one in tables.rule) if rule.may_concern(table.name, names)]
    return Policy(
        listener=table.name,
        identity_required=table.identity == "required",
        passcodes_allowed=table.tls is not None or table.cleartext_passcodes,
        fallback_encoding=table.fallback_encoding,
        end_with_credential=table.end_with_credential,
        routes=routes(tables),
        request_limit=tables.gateway.max_request_bytes,
        artim=tables.gateway.artim.total_seconds(),
        decision_timeout=decision_timeout(chain),
        audit_required=tables.audit_required,
        rights=partial(rights_of, rules) if tables.rule or table.rules is not None else None,
        enforce_rights=table.rules != "report",
    )


def balancers(table: ListenerTable) -> Balancers | None:
    """The load balancers in front of a listener; None if it knows of none."""
    proxies = table.proxy_protocol
    if proxies is None:
        return None
    return Balancers(tuple(proxies.from_), believed=proxies.tls == "trust", alone=proxies.others == "refuse")


def embedded_policy(chain: Chain, audit_required: bool, rules: Sequence[RuleTable]) -> Policy:
    """What a program without a listener requires: an identity, and what its rules allow if there are any."""
    rights = partial(rights_of, [table.rule for table in rules]) if rules else None
    return Policy(_UNNAMED, decision_timeout=decision_timeout(chain), audit_required=audit_required, rights=rights)


def rules_in_words(policy: Policy) -> str:
    """What its rules do, as the end of a line about a listener; "" if there are none."""
    if policy.rights is None:
        return ""
    return f", rules {'enforced' if policy.enforce_rights else 'only reported'}"


def listener_in_words(listener: ListenerSnapshot) -> str:
    """The listener, for the log: whom it asks, and what it requires."""
    policy = listener.policy
    identity = "identity required" if policy.identity_required else "identity optional"
    names = " then ".join(link.name for link in listener.chain.links)
    about = f"listener {policy.listener}, {'TLS' if listener.tls else 'no TLS'}, {identity}, authenticators: {names}"
    return about + _balancers_in_words(listener.balancers) + rules_in_words(policy)


def _balancers_in_words(found: Balancers | None) -> str:
    if found is None:
        return ""
    believed = " (believed on TLS)" if found.believed else ""
    others = "nobody else" if found.alone else "others without"
    return f", a PROXY header from {', '.join(map(str, found.networks))}{believed}, {others}"


def decision_timeout(chain: Chain) -> float:
    """The seconds after which a chain has decided, whatever its authenticators do."""
    groups = sum(link.groups_from.deadline for link in chain.links if link.groups_from is not None)
    return sum(link.deadline + link.patience for link in chain.links) + groups + _SLACK
