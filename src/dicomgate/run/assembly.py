"""A configuration -> authenticators, credentials, upstreams and listeners, certificates loaded.

An assembly is a snapshot. Associations keep the one that they came in by. It is closed after a newer one has replaced
it, when the last of those associations no longer needs its authenticators and credentials.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ..auth.chain import Chain
from ..auth.link import Link
from ..auth.plugged import Plugged
from ..config.load import Configuration, load
from ..config.schema import ListenerTable
from ..contract import IdentityType
from ..credentials.link import CredentialLink
from ..errors import ConfigError, Problem
from ..net.dial import Upstream
from ..net.listener import Address
from ..net.pool import Pool
from ..net.pooled import PooledUpstream
from ..net.server_state import ListenerSnapshot
from .doubts import doubts, lockouts
from .links import make_credentials, make_links
from .listener_tls import listener_tls
from .named_files import NamedCertificate, named_certificates
from .page import Page, make_page
from .policies import balancers, listener_policy
from .upstreams import make_upstreams

_CLEARTEXT = (
    "without tls, passcodes would cross the network in the clear, and authenticator {} takes them; give the listener a "
    "tls table, name its authenticators, or set cleartext_passcodes = true (a test bench, a tunnel)"
)


@dataclass(slots=True)
class UseCount:
    """How many associations need the plugins of an assembly. `unused` is set when the last one is done."""

    count: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    def acquire(self) -> None:
        """One more association needs them."""
        self.count += 1
        self.unused.clear()

    def release(self) -> None:
        """One association is done with them."""
        self.count -= 1
        if not self.count:
            self.unused.set()


@dataclass(frozen=True, slots=True)
class Assembly:
    """What was made of one configuration. `doubts` name what is allowed, but probably not meant.

    `certificates` are those in the files that it names, as the files were when they were read.
    """

    configuration: Configuration
    links: dict[str, Link]
    credentials: dict[str, CredentialLink]
    upstreams: dict[str, Upstream | PooledUpstream]
    listeners: dict[Address, ListenerSnapshot]
    uses: UseCount
    doubts: tuple[str, ...]
    certificates: tuple[NamedCertificate, ...]
    page: Page | None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def tables(self) -> dict[Address, str]:
        """The table of the configuration that wants each address of a listener, for messages."""
        return {address: f"[[listener]] {one.policy.listener}" for address, one in self.listeners.items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """The doubts; once it is open, with what the authenticators know of the servers that they ask."""
        return (*self.doubts, *lockouts(self.configuration.tables, self.links))

    async def open(self) -> None:
        """Enter the authenticators and credentials, and look up the upstreams. If that fails, nothing stays open.

        Raises StartError, which names the one that could not be entered.
        """
        async with AsyncExitStack() as stack:
            plugins: list[Plugged] = [*self.links.values(), *self.credentials.values()]
            for plugin in plugins:
                await stack.enter_async_context(plugin)
            for upstream in self.upstreams.values():
                stack.push_async_callback(upstream.close)
            await asyncio.gather(*(upstream.look_up() for upstream in self.upstreams.values()))
            self.stack.push_async_exit(stack.pop_all())

    def pool(self, upstream: str) -> Pool | None:
        """The addresses of this upstream; None if there is no choice."""
        found = self.upstreams.get(upstream)
        return found.pool if isinstance(found, PooledUpstream) else None

    def go_on_from(self, running: Assembly) -> None:
        """Take over what the assembly so far knows of the addresses of its upstreams."""
        for name in self.upstreams:
            if (pool := self.pool(name)) is not None and (before := running.pool(name)) is not None:
                pool.go_on_from(before)

    async def retire(self) -> None:
        """Wait until no association needs them, then leave the authenticators and the credentials."""
        if self.uses.count:
            await self.uses.unused.wait()
        await self.stack.aclose()


def assemble(path: Path) -> Assembly:
    """Load a configuration and make everything that it names, opening nothing; may block on files.

    Raises ConfigError with every problem, each with file, line and key.
    """
    configuration = load(path)
    problems: list[Problem] = []
    links = make_links(configuration, problems)
    credentials = make_credentials(configuration, problems)
    upstreams = make_upstreams(configuration, problems)
    uses = UseCount()
    chains: dict[str, Chain] = {}
    listeners: dict[Address, ListenerSnapshot] = {}
    for index, table in enumerate(configuration.tables.listener):
        try:
            tls = listener_tls(configuration, table.tls)
            names = table.authenticators or [other.title for other in configuration.tables.authenticator]
            chain = Chain([links[name] for name in names if name in links])
            _check_cleartext(table, chain)
        except ConfigError as error:
            problems += configuration.located(error, "listener", index).problems
            continue
        chains[table.name] = chain
        gateway = configuration.tables.gateway
        patience = gateway.idle_timeout.total_seconds(), gateway.keepalive.total_seconds()
        policy = listener_policy(configuration, table, chain)
        used = uses.acquire, uses.release
        listener = ListenerSnapshot(policy, chain, upstreams, credentials, tls, *patience, *used, balancers(table))
        listeners |= dict.fromkeys(table.bind, listener)
    page = make_page(configuration, links, problems)
    if problems:
        raise ConfigError(problems)
    found = tuple(doubts(configuration, links, credentials, chains))
    certificates = tuple(named_certificates(configuration))
    return Assembly(configuration, links, credentials, upstreams, listeners, uses, found, certificates, page)


def _check_cleartext(table: ListenerTable, chain: Chain) -> None:
    takers = [link.name for link in chain.links if link.handles(IdentityType.USERNAME_AND_PASSCODE)]
    believed = table.proxy_protocol is not None and table.proxy_protocol.tls == "trust"
    if takers and table.tls is None and not table.cleartext_passcodes and not believed:
        raise ConfigError([Problem(("tls",), _CLEARTEXT.format(" and ".join(takers)))])
