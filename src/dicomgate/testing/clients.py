"""Three clients that log in: a small one of our own, pynetdicom, DCMTK's storescu.

Each returns whether it was admitted and its service succeeded, and the content of sub-item 59H if it reports that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from ..contract import Identity, IdentityType
from ..errors import NegativeAnswer
from ..net.dial import Upstream, dialled
from ..net.tls import TlsContext
from ..scu.client import Client as Scu
from ..wire.echo import verification_request
from .slices import ct_slice

Answer: TypeAlias = tuple[bool, bytes | None]
Client: TypeAlias = Callable[[], Answer]

_CALLED = "PACS"
_PATIENCE = 60.0  # seconds, for all of it
_FILE_OPTIONS = {IdentityType.KERBEROS: "-kt", IdentityType.SAML: "--saml", IdentityType.JWT: "--jwt"}


def echo(address: tuple[str, int], identity: Identity | None, calling: str, tls: TlsContext | None) -> Answer:
    """Ours: a C-ECHO. Raises StartError when the connection breaks."""
    connection = dialled(Upstream("gateway", *address, tls), _PATIENCE)
    with Scu(connection, time.monotonic() + _PATIENCE) as scu:
        try:
            response = scu.associate(verification_request(calling, _CALLED, identity)).server_response
            succeeded = scu.echo() == 0
            scu.release()
        except NegativeAnswer:
            return False, None
    return succeeded, response


def pynetdicom(address: tuple[str, int], identity: Identity | None, calling: str) -> Answer:
    """A C-ECHO of pynetdicom's."""
    from pytest import importorskip  # noqa: PT013

    importorskip("pynetdicom")
    from pynetdicom import AE
    from pynetdicom.pdu_primitives import UserIdentityNegotiation
    from pynetdicom.sop_class import Verification

    from .checkpoint import REPAIRED

    entity = AE(calling)
    entity.add_requested_context(Verification)
    negotiated = []
    if identity is not None:
        item = UserIdentityNegotiation()
        item.user_identity_type = identity.type.value
        item.primary_field, item.secondary_field = identity.primary, identity.secondary
        item.positive_response_requested = identity.positive_response_requested
        negotiated.append(item)
    association = entity.associate(*address, ae_title=_CALLED, ext_neg=negotiated, evt_handlers=[REPAIRED])
    try:
        if not association.is_established:
            return False, None
        response = association.acceptor.user_identity
        succeeded = association.send_c_echo().get("Status") == 0
        association.release()
    finally:
        entity.shutdown()
        for thread in (association, association.dul):
            if thread.ident is not None:  # the thread of a refused association never starts
                thread.join(_PATIENCE)
    return succeeded, None if response is None else response.server_response


def storescu(address: tuple[str, int], identity: Identity | None, calling: str, folder: Path) -> Answer:
    """A C-STORE of DCMTK's; its files are in the folder until it ends."""
    program = shutil.which("storescu")
    if program is None:
        from pytest import skip  # noqa: PT013

        skip("storescu is not installed: it comes with DCMTK")
    with TemporaryDirectory(dir=folder) as files:
        image, ticket = Path(files) / "image.dcm", Path(files) / "ticket"
        ct_slice(image)
        options = [] if identity is None else identity_options(identity, ticket)
        ended = subprocess.run(
            [program, "-aet", calling, "-aec", _CALLED, *options, address[0], str(address[1]), image],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            # Debian's DCMTK leaves Nagle's algorithm on by default, and waits for each acknowledgement.
            env={**os.environ, "TCP_NODELAY": "1"},
            timeout=_PATIENCE,
            check=False,
        )
    return ended.returncode == 0, None


def identity_options(identity: Identity, ticket: Path) -> list[str]:
    """The options of storescu for this identity; a token is written to the file `ticket`."""
    options = ["-rsp"] if identity.positive_response_requested else []
    if identity.type in _FILE_OPTIONS:
        ticket.write_bytes(identity.primary)
        return [*options, _FILE_OPTIONS[identity.type], str(ticket)]
    options += ["-usr", os.fsdecode(identity.primary)]
    if identity.type is IdentityType.USERNAME_AND_PASSCODE:
        options += ["-pwd", os.fsdecode(identity.secondary)]
    return options
