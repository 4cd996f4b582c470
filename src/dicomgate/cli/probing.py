"""What `dicomgate check --connect` asks: upstreams, the plugins' servers, a shared state.

Rule: all are asked at the same time, each within its own time, and each answer is one line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from cryptography import x509

from ..association.route import ANY_AE_TITLE
from ..auth.members import probed
from ..auth.plugged import Plugged
from ..config.load import Configuration
from ..config.schema import UpstreamTable
from ..contract import Probed
from ..errors import NegativeAnswer, StartError, StateUnavailable
from ..kit.certificates import described
from ..net.connection import Connection
from ..net.dial import Upstream, waiting
from ..net.pooled import PooledUpstream
from ..net.tls_stream import TlsStream
from ..run.assembly import Assembly
from ..run.protection import configured_state
from ..run.upstreams import dialled
from ..state import open_cluster
from ..state.protocol import Backoff, SharedState
from ..wire.echo import verification_request
from .options import DEFAULT_CALLED, DEFAULT_CALLING

_PATIENCE = 10.0
"""Seconds that an authenticator or a credential has for all that it depends on."""
_NOBODY = "dicomgate-check"


async def asked(assembly: Assembly) -> list[Probed]:
    """A line for each; the authenticators and credentials have been entered."""
    tables = assembly.configuration.tables
    answers = await asyncio.gather(
        *(_of_plugin("authenticator", link) for link in assembly.links.values()),
        *(_of_plugin("credential", link) for link in assembly.credentials.values()),
        _of_state(assembly.configuration),
        *(
            _of_upstream(what, upstream, titles, table)
            for table in tables.upstream
            for name, titles in dialled(table).items()
            for what, upstream in _each(assembly.upstreams[name])
        ),
    )
    return [line for lines in answers for line in lines]


async def _of_plugin(word: str, plugin: Plugged) -> list[Probed]:
    if plugin.members.probe is None:
        return []
    found = await probed(plugin.members.probe, _PATIENCE)
    return [Probed(f"{word} {plugin.name}: {one.what}", one.problem, one.detail or "answers") for one in found]


async def _of_state(configuration: Configuration) -> Sequence[Probed]:
    if (url := configuration.tables.state.url) is None:
        return []
    state = configured_state(configuration)
    cluster = open_cluster(url, configuration.tables.gateway.node)
    try:
        await _try_out(state)
        try:
            await cluster.enter(_NOBODY, _NOBODY, 1, ())
        finally:
            await cluster.keep({}, {_NOBODY: [_NOBODY]})
    except StateUnavailable as error:
        return [Probed("state", str(error).removeprefix("state "))]
    finally:
        await state.close()
        await cluster.close()
    return [Probed("state", detail="answers")]


async def _try_out(state: SharedState) -> None:
    """What logins ask of it, by a name that no account has; nothing of it stays. Raises StateUnavailable.

    A replica answers what only reads, and an ACL may forbid what only writes.
    """
    await state.counters()
    try:
        await state.take(_NOBODY, (), [Backoff(_NOBODY, 1, 0, 0)])
        await state.unused(_NOBODY, datetime.now(UTC))
    finally:
        await state.ended([_NOBODY])
        await state.clear([_NOBODY])


def _each(upstream: Upstream | PooledUpstream) -> Iterator[tuple[str, Upstream]]:
    """Each address that is asked, and what it is called."""
    if isinstance(upstream, PooledUpstream):
        yield from ((f"upstream {upstream.name}: {name}", one) for name, one in upstream.addresses.items())
    else:
        yield f"upstream {upstream.name}", upstream


async def _of_upstream(what: str, upstream: Upstream, titles: Sequence[str], table: UpstreamTable) -> Sequence[Probed]:
    seconds = table.timeout.total_seconds()
    deadline = time.monotonic() + seconds
    try:
        connection = await upstream.open(seconds)
    except StartError as error:
        return [Probed(what, f"cannot be reached: {error}")]
    certificate = ""
    if isinstance(connection.stream, TlsStream) and (der := connection.stream.peer_certificate()):
        certificate = f"; its certificate: {described(x509.load_der_x509_certificate(der))}"
    known = [title for title in titles if title != ANY_AE_TITLE]
    called = table.called_ae_title or next(iter(known), DEFAULT_CALLED)
    try:
        said = await asyncio.to_thread(_echo, connection, table.calling_ae_title or DEFAULT_CALLING, called, deadline)
    except StartError as error:
        return [Probed(what, f"reached, but a C-ECHO failed: {error}{certificate}")]
    return [Probed(what, detail=f"reached, {said}{certificate}")]


def _echo(connection: Connection, calling: str, called: str, deadline: float) -> str:
    """What the upstream says to a C-ECHO. Raises StartError if that is no DICOM answer."""
    from ..scu.client import Client  # pydicom is slow to import

    try:
        with Client(waiting(connection), deadline) as client:
            client.associate(verification_request(calling, called, None))
            status = client.echo()
            client.release()
    except NegativeAnswer as error:
        # The answer is DICOM's. Whether it knows the calling AE titles of the clients, only they can find out.
        return f"a C-ECHO from {calling} to {called} is {error}"
    return f"a C-ECHO from {calling} to {called} is answered with status {status:04X}H"
