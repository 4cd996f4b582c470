"""LDAP with one server, in the event loop: asyncio does the network and TLS, libldap reads and writes the messages.

libldap blocks while it looks up a name, connects, shakes hands for TLS or has read half a message, and its timeouts do
not end all of these. So it gets one end of a socketpair, on which it never has to wait, and a relay does the rest.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import ldap
from ldap.controls import DecodeControlTuples
from ldap.controls.ppolicy import PasswordPolicyControl
from pyasn1.error import PyAsn1Error  # type: ignore[import-untyped]

from dicomgate.kit.failover import NoAnswerError

from .relay import Relay, Target

Entry = tuple[str, dict[str, list[bytes]]]
"""The DN of an entry and its attributes."""


class Connection:
    """One connection. `over` is done when it is closed."""

    def __init__(self, libldap: Any, descriptor: int, relay: Relay) -> None:
        self._libldap = libldap
        self._descriptor = descriptor
        self._relay = relay
        self.over = relay.over

    @classmethod
    async def open(cls, target: Target, tls: ssl.SSLContext) -> Connection:
        """Connect to a server. Raises NoAnswerError."""
        relay = Relay()
        descriptor = (await relay.open(target, tls)).detach()
        # The URL is not used: this libldap never connects. From here on it owns the descriptor.
        libldap = ldap.initialize("ldap://", fileno=descriptor)
        # Whatever ldap.conf(5) says: a passcode goes to this server alone.
        libldap.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
        libldap.set_option(ldap.OPT_DEREF, ldap.DEREF_NEVER)
        return cls(libldap, descriptor, relay)

    async def bind(self, dn: str, secret: str) -> PasswordPolicyControl | None:
        """Bind as this DN, or as nobody with two empty texts; what the password policy says. Raises as `search`."""
        controls = [PasswordPolicyControl()]
        _, answered = await self._ask(lambda: self._libldap.simple_bind(dn, secret, serverctrls=controls))
        return policy_of(answered)

    async def search(
        self, base: str, scope: int, expression: str, attributes: Sequence[str], most: int = 0
    ) -> list[Entry]:
        """The entries found; `most` is the size limit. Raises ldap.LDAPError if refused, and NoAnswerError."""
        wanted = list(attributes)
        found, _ = await self._ask(lambda: self._libldap.search_ext(base, scope, expression, wanted, sizelimit=most))
        return [(dn, attributes) for dn, attributes in found if dn is not None]  # without a DN it is a referral

    def close(self) -> None:
        """Send an Unbind and close, without waiting for either."""
        libldap, self._libldap = self._libldap, None
        if libldap is not None:
            libldap.unbind_ext()  # closes libldap's end, and thereby the relay

    def abort(self) -> None:
        """Close at once."""
        self.close()
        self._relay.abort()

    async def _ask(self, begin: Callable[[], int]) -> tuple[list[Any], list[Any]]:
        """What the server answers to one request, and the controls of the answer."""
        self._relay.expect_an_answer()
        try:
            number = begin()
            while True:
                await self._more_to_read()
                kind, found, _, controls, *_ = self._libldap.result4(number, timeout=0)
                if kind is not None:
                    return found, controls
        except (ValueError, PyAsn1Error) as error:  # text that is not UTF-8, a control that is not BER
            raise NoAnswerError(f"its answer cannot be read ({type(error).__name__})") from None

    async def _more_to_read(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._descriptor, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._descriptor)


def policy_of(controls: Sequence[Any]) -> PasswordPolicyControl | None:
    """The answer of a password policy among a response's controls (draft-behera-ldap-password-policy 6.2)."""
    decoded = DecodeControlTuples(controls) if controls and isinstance(controls[0], tuple) else controls
    return next((one for one in decoded if isinstance(one, PasswordPolicyControl)), None)
