"""The acceptor's matrix (RFC 4120 3.2.3): what is crafted, and the reason for which it is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dicomgate.testing.kdc import OTHER_SERVICE, REALM, SERVICE
from plugins.kerberos.tests.craft import AES128, DCE_STYLE, DELEGATE, DES, INVALID, MUTUAL, RC4, Key, ap_req, new_key

CURRENT, PREVIOUS, OTHER, STRANGER, WEAK = new_key(), new_key(), new_key(), new_key(), new_key(RC4)
KEYS: tuple[tuple[str, int, Key], ...] = (
    (SERVICE, 3, CURRENT), (SERVICE, 2, PREVIOUS), (OTHER_SERVICE, 3, OTHER), (SERVICE, 3, WEAK),
)  # fmt: skip
"""What is in the service's keytab."""
ELSEWHERE = "ELSEWHERE.EXAMPLE"
ANOTHER_KEY = f"Cannot decrypt ticket for {SERVICE} using keytab key for {SERVICE}"
TYPE_23, TYPE_3 = "encrypted with type 23,", "encrypted with type 3,"


Row = tuple[str, Callable[[], bytes]]
"""How the refusal of an AP-REQ begins, "" where it is accepted, and what makes the AP-REQ."""


def row(reason: str = "", key: Key = CURRENT, version: int = 3, **fields: Any) -> Row:
    """`fields`: what is unlike a good one."""
    return reason, partial(ap_req, key, version=version, **fields)


UPPER = f"{SERVICE.partition('@')[0].upper()}@{REALM}"
"""What Active Directory writes into the ticket of a client that typed it so."""
_OTHER = f"the ticket is for {OTHER_SERVICE}, not for {SERVICE}"
_NO_KEY = f"Cannot find key for {SERVICE} kvno"
_TIME = "made too long ago, or the clocks differ"
_NYV = "the ticket is not valid yet"
_CLIENT = "the authenticator is not of the ticket's client"
_NAME = "its name is empty, too long, or has characters that are not accepted"

MATRIX: dict[str, Row] = {
    "good": row(),
    "our service in other letters": row(service=UPPER),
    "another service's ticket under our name": row(ANOTHER_KEY, OTHER),
    "a key of nobody": row(ANOTHER_KEY, STRANGER),
    "the previous key, still in the keytab": row(key=PREVIOUS, version=2),
    "a key version that is gone": row(f"{_NO_KEY} 1 in keytab", PREVIOUS, 1),
    "a key version to come": row(f"{_NO_KEY} 4 in keytab", STRANGER, 4),
    "the previous key as the current one": row(ANOTHER_KEY, PREVIOUS, 3),
    "an encryption of which there is no key": row(f"No key table entry found for {SERVICE}", ticket_type=AES128),
    "expired": row("Ticket expired", ends=-302),
    "not yet valid": row(_NYV, starts=303),
    "not yet valid, within the skew": row(starts=298),
    "299 s ago": row(at=-299),
    "301 s ago": row(_TIME, at=-301),
    "299 s ahead": row(at=299),
    "302 s ahead": row(_TIME, at=302),
    "postdated and not validated": row("the ticket is postdated", flags=INVALID),
    "RC4 ticket, its key is in the keytab": row(TYPE_23, WEAK),
    "RC4 session key": row(TYPE_23, session=RC4),
    "AES-128 session key": row(session=AES128),
    "DES ticket": row(TYPE_3, ticket_type=DES),
    "an authenticator of somebody else": row(_CLIENT, says=f"zoe@{REALM}"),
    "an authenticator of another realm": row(_CLIENT, says=f"alice@{ELSEWHERE}"),
    "a user of another realm": row(f"its realm '{ELSEWHERE}' is not among the realms", client=f"alice@{ELSEWHERE}"),
    "a realm in other letters": row(
        f"its realm '{REALM.lower()}' is not among the realms", client=f"alice@{REALM.lower()}"
    ),
    "anonymous": row("it is anonymous", client=f"WELLKNOWN/ANONYMOUS@{REALM}"),
    "anonymous of no realm": row(
        "its realm 'WELLKNOWN:ANONYMOUS' is not among the realms", client="WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS"
    ),
    "a line end in the name": row(_NAME, client=f"alice\nroot@{REALM}"),
    "an @ in the name": row(
        f"'alice@{REALM}' is an enterprise name (RFC 6806), not that of an account", client=f"alice@{REALM}@{REALM}"
    ),
    "without mutual authentication": row(mutual=False, gss_flags=0),
    "channel bindings, which nobody verifies here": row(bindings=b"\x5a" * 16),
    "delegation without a credential": row(gss_flags=MUTUAL | DELEGATE),
}
PASSED_ON = {
    "another service, its key is in the keytab": row(_OTHER, OTHER, service=OTHER_SERVICE),
    "a service in other letters with another key": row(
        f"the ticket is for {UPPER}, not for {SERVICE}", OTHER, service=UPPER
    ),
    "and with a key version of its own": row(f"the ticket is for {UPPER}, not for {SERVICE}", OTHER, 5, service=UPPER),
    "our service in a realm in other letters": row("the ticket is for", service=SERVICE.lower()),
}
GSS_ALONE = {
    "three messages instead of two": row("Invalid token was supplied", gss_flags=MUTUAL | DCE_STYLE),
    "delegation of nonsense": row("ASN.1", gss_flags=MUTUAL | DELEGATE, delegated=b"nonsense"),
}
