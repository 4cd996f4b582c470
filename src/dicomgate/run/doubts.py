"""What is allowed, but probably not meant: warnings of `dicomgate check`, and of the log at the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509

from ..association.route import ANY_AE_TITLE
from ..auth.chain import Chain
from ..auth.link import Link
from ..auth.plugged import Plugged
from ..config.load import Configuration
from ..config.schema import GatewayTable, ListenerTable, Tables, UpstreamTable
from ..contract import IdentityType
from ..credentials.link import CredentialLink
from ..kit.addresses import show_address
from ..kit.certificates import CLIENT, SERVER, read_certificates, remarks
from ..kit.networks import is_everywhere
from .rule_doubts import doubts_of_rules

_A_BUNDLE = 10
"""More authorities than this are a collection of somebody else's, not the operator's to renew."""


def _never_asked(table: ListenerTable, link: Link) -> str:
    """Why this authenticator can accept nobody at this listener; "" if it can."""
    if not any(map(link.handles, IdentityType)) and table.identity == "required":
        return 'takes requests without an identity alone, and identity = "required" refuses those'
    believed = table.proxy_protocol is not None and table.proxy_protocol.tls == "trust"
    if link.members.needs_client_certificate and not believed and (table.tls is None or table.tls.client_ca is None):
        return "needs a client certificate, and without client_ca in tls no client is asked for one"
    return ""


def doubts(
    configuration: Configuration,
    links: Mapping[str, Link],
    credentials: Mapping[str, CredentialLink],
    chains: Mapping[str, Chain],
) -> Iterator[str]:
    """Each as one line that names its table. `chains` are those of the listeners by name."""
    tables, folder = configuration.tables, configuration.folder
    yield from _of_gateway(tables.gateway)
    yield from _of_state(tables)
    yield from _of_audits(tables)
    for listener in tables.listener:
        for doubt in [*_of_listener(listener, chains[listener.name]), *_of_listeners_files(listener, folder)]:
            yield f"listener {listener.name}: {doubt}"
    for upstream in tables.upstream:
        for doubt in [*_of_upstream(upstream, tables), *_of_upstreams_files(upstream, folder)]:
            yield f"upstream {upstream.name}: {doubt}"
    by_listener = {name: {link.name for link in chain.links} for name, chain in chains.items()}
    yield from doubts_of_rules(tables, by_listener)
    asked = {name for names in by_listener.values() for name in names}
    asked |= {table.groups_from for table in tables.authenticator if table.groups_from is not None}
    asked |= {*(tables.admin.authenticators or ())} if tables.admin is not None else set()
    for name, link in links.items():
        if name not in asked:
            yield f"authenticator {name}: no listener asks it"
        yield from _of_deadlines(f"authenticator {name}", link)
    for name, credential in credentials.items():
        if all(name not in shown_to(table) for table in tables.upstream):
            yield f"credential {name}: no upstream is shown it"
        yield from _of_deadlines(f"credential {name}", credential)


def _of_deadlines(what: str, plugin: Plugged) -> Iterator[str]:
    within = plugin.members.answers_within
    if within is not None and within.total_seconds() >= plugin.deadline:
        yield (
            f"{what}: timeout is {plugin.deadline:g} s, and its own deadlines allow "
            f"{within.total_seconds():g} s: set a longer timeout, or the log cannot say what was late"
        )


def shown_to(upstream: UpstreamTable) -> list[str]:
    """The names of the credentials that an upstream may be shown."""
    return [name for name in dict.fromkeys((upstream.credential, *(it.credential for it in upstream.present))) if name]


def lockouts(tables: Tables, links: Mapping[str, Link]) -> Iterator[str]:
    """What guesses do to accounts elsewhere; known once the authenticators have been entered."""
    throttle = tables.throttle
    for name, link in links.items():
        most = link.members.locks_after()
        if most and (not throttle.enabled or throttle.free >= most):
            lets = f"lets {throttle.free} through at once" if throttle.enabled else "is not enabled"
            yield (
                f"authenticator {name}: {most} wrong passcodes lock an account for all that it is used for, "
                f"and throttle {lets}: set its free to less than {most}"
            )


def _of_gateway(gateway: GatewayTable) -> Iterator[str]:
    for key, most in (
        ("max_associations_per_source", "max_associations"),
        ("max_unauthenticated", "max_associations"),
        ("max_unauthenticated_per_source", "max_unauthenticated"),
    ):
        if key in gateway.model_fields_set and getattr(gateway, key) > getattr(gateway, most):
            yield f"gateway: {key} is more than {most}, and has no effect"


def _of_state(tables: Tables) -> Iterator[str]:
    if tables.state.url is not None and "path" in tables.state.model_fields_set:
        yield "state: with a url, path has no effect"


def _of_audits(tables: Tables) -> Iterator[str]:
    for table in tables.audit:
        if table.to.way == "udp":
            yield f"audit {table.title}: over UDP, long records may be cut, and nobody notices those that are lost"


def _of_listener(table: ListenerTable, chain: Chain) -> Iterator[str]:
    if table.identity == "optional" and not any(link.handles(None) for link in chain.links):
        yield "identity is optional, but no authenticator takes attempts without one: they will be refused"
    useless = [f"authenticator {link.name} {why}" for link in chain.links if (why := _never_asked(table, link))]
    if len(useless) == len(chain.links):
        yield f"nobody can log in here: {'; '.join(useless)}"
    else:
        yield from useless
    if table.proxy_protocol is not None and is_everywhere(table.proxy_protocol.from_):
        yield "proxy_protocol.from is every address: whoever connects says himself whose address he has"
    if table.cleartext_passcodes and table.tls is not None:
        yield "with tls, cleartext_passcodes has no effect"
    elif table.cleartext_passcodes and (open_to := [one for one in table.bind if not _is_loopback(one[0])]):
        where = ", ".join(show_address(*one) for one in open_to)
        yield f"cleartext_passcodes: passcodes cross the network to {where} in the clear"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of_upstream(table: UpstreamTable, tables: Tables) -> Iterator[str]:
    others = {title.upper(): title for one in tables.upstream for title in one.targets}
    for title in table.targets:
        if "*" in title and title != ANY_AE_TITLE:
            yield f'called AE title {title!r} is taken letter by letter: only "*" alone stands for others'
        if (other := others[title.upper()]) != title:
            yield f"called AE titles {title!r} and {other!r} differ in upper and lower case alone"
    where = [show_address(*to) for to in table.every_address if not _is_loopback(to[0])]
    if (shown := shown_to(table)) and table.tls is None and where:
        to = f"credential {' and '.join(shown)} crosses the network to {', '.join(where)}"
        yield f"{to} in the clear; give it a tls table"
    if table.tls is not None and table.tls.pin is not None and table.tls.server_name is not None:
        yield "with a pin, server_name has no effect"


def _of_listeners_files(table: ListenerTable, folder: Path) -> Iterator[str]:
    if table.tls is not None:
        yield from _of_file("certificate", folder / table.tls.certificate, SERVER)
        if table.tls.client_ca is not None:
            yield from _of_file("client_ca", folder / table.tls.client_ca, None)


def _of_upstreams_files(table: UpstreamTable, folder: Path) -> Iterator[str]:
    if table.tls is not None and table.tls.certificate is not None:
        yield from _of_file("certificate", folder / table.tls.certificate, CLIENT)
    if table.tls is not None and table.tls.ca is not None:
        yield from _of_file("ca", folder / table.tls.ca, None)


def _of_file(key: str, path: Path, purpose: x509.ObjectIdentifier | None) -> Iterator[str]:
    certificates = read_certificates(path)
    if purpose is not None or len(certificates) <= _A_BUNDLE:
        yield from (f"tls.{key}: {path}: {remark}" for remark in remarks(certificates, purpose))
