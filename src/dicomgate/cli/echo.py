"""`dicomgate echo`: log in, send a C-ECHO, and print what the server answers."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter

from ..config.fields import Address
from ..contract import Identity
from ..errors import ConfigError, DoesNotFit, NegativeAnswer, StartError
from ..kit.durations import parse_duration
from ..net.dial import Upstream, dialled
from ..net.tls import TlsContext
from ..net.tls_blocking import BlockingTls
from ..net.tls_context import client_context
from ..scu.login import SingleSignOn
from ..wire.associate import AssociateRequest
from ..wire.dimse import SUCCESS
from ..wire.echo import CONTEXT, verification_request
from ..wire.presentation import RESULTS
from .options import (
    DEFAULT_CALLED,
    DEFAULT_CALLING,
    IDENTITY_PANEL,
    CalledOption,
    CallingOption,
    IdentityOptions,
    ae_title,
    parsed,
    with_identity_options,
)

if TYPE_CHECKING:
    from ..scu.client import Client

_ADDRESS: TypeAdapter[tuple[str, int]] = TypeAdapter(Address)


@with_identity_options
def echo(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server; IPv6 in brackets.")],
    port: Annotated[str | None, typer.Argument(metavar="PORT", help="The port, if it does not follow HOST:.")] = None,
    calling: CallingOption = DEFAULT_CALLING,
    called: CalledOption = DEFAULT_CALLED,
    tls: Annotated[bool, typer.Option("--tls", help="Connect with TLS; the server's certificate is verified.")] = False,
    ca: Annotated[Path | None, typer.Option(help="The authorities to trust, PEM. Default: the system's.")] = None,
    server_name: Annotated[str | None, typer.Option(help="The name in the certificate. Default: HOST.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Our certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="The limit for the whole exchange.")] = "10s",
    kerberos: Annotated[
        str | None,
        typer.Option(
            metavar="SPN",
            help="Log in with your Kerberos tickets to this service: dicom/host@REALM (type 3).",
            rich_help_panel=IDENTITY_PANEL,
        ),
    ] = None,
    *,
    who: IdentityOptions,
) -> None:
    """Log in to a DICOM server, send a C-ECHO, and print what the server answers.

    Exit status: 0 success, 1 refused, aborted or failed, 2 wrong usage,
    3 unreachable, or TLS failed.
    """
    from ..scu.client import Client  # pydicom is slow to import: only here, before a server waits for this client

    if port is not None:
        server = f"[{server}]:{port}" if server.count(":") > 1 and "]" not in server else f"{server}:{port}"
    address = parsed(_ADDRESS, server)
    deadline = time.monotonic() + _seconds(timeout)
    context = _context(tls, ca, server_name, certificate, key)
    if kerberos is not None and who.given():
        raise ConfigError("--kerberos is an identity by itself: give no other one with it")
    single_sign_on = None if kerberos is None else SingleSignOn(kerberos)
    identity = who.identity() if single_sign_on is None else single_sign_on.identity
    request = _request(ae_title(calling), ae_title(called), identity)
    sock = _connect(*address, context, server_name, deadline)
    typer.echo(f"connected to {server}{' with TLS' if context else ''}")
    _converse(Client(sock, deadline), request, single_sign_on)


def _seconds(timeout: str) -> float:
    try:
        return parse_duration(timeout).total_seconds()
    except ValueError as error:
        raise ConfigError(f"--timeout: {error}") from error


def _context(
    tls: bool, ca: Path | None, server_name: str | None, certificate: Path | None, key: Path | None
) -> TlsContext | None:
    if tls:
        if key is not None and certificate is None:
            raise ConfigError("--key is the key of a --certificate")
        return client_context(ca, pinned=False, certificate=certificate, key=key)
    if any(option is not None for option in (ca, server_name, certificate, key)):
        raise ConfigError("--ca, --server-name, --certificate and --key need --tls")
    return None


def _request(calling: str, called: str, identity: Identity | None) -> AssociateRequest:
    request = verification_request(calling, called, identity)
    try:
        request.encode()
    except DoesNotFit as error:
        raise ConfigError(f"the identity does not fit an A-ASSOCIATE-RQ: {error}") from error
    return request


def _connect(
    host: str, port: int, context: TlsContext | None, server_name: str | None, deadline: float
) -> socket.socket | BlockingTls:
    # A warning for an address that was passed over, as the gateway logs it, is told only if none answers.
    logging.getLogger("dicomgate.upstream").setLevel(logging.CRITICAL)
    server = Upstream("server", host, port, context, server_name)
    try:
        return dialled(server, max(0.001, deadline - time.monotonic()))
    except StartError as error:
        raise StartError(f"the server cannot be reached: {error}") from error


def _converse(client: Client, request: AssociateRequest, single_sign_on: SingleSignOn | None) -> None:
    """Associate, echo, release: a line for each."""
    with client:
        answer = client.associate(request)
        accepted = [context for context in answer.contexts if context.accepted]
        typer.echo(f"established, {len(accepted)} of {len(request.contexts)} presentation contexts accepted")
        response = answer.server_response
        typer.echo(f"server response (59H): {'none' if response is None else f'{len(response)} bytes'}")
        if single_sign_on is not None:
            if doubt := single_sign_on.doubt(response):
                client.release()
                raise NegativeAnswer(doubt)
            typer.echo("the response proves the service: the server has its key")
        if CONTEXT not in [context.id for context in accepted]:
            client.release()
            result = answer.contexts[0].result
            raise NegativeAnswer(f"the server does not accept Verification: {RESULTS[result]}")
        status = client.echo()
        client.release()
        if status != SUCCESS:
            raise NegativeAnswer(f"the C-ECHO failed with status {status:04X}H")
        typer.echo(f"C-ECHO succeeded, status {status:04X}H; released")
