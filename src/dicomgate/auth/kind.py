"""A kind of plugins: one entry point group, and one table of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_AUTHENTICATORS = (
    "certificate", "jwt", "kerberos", "ldap", "network", "passcode", "pynetdicom", "radius", "saml", "sql",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind. `word` is the name of its table, and what it is called in messages.

    `plugins` says which plugin of the bundle has the entry point of a name.
    """

    word: str
    plugins: Mapping[str, str]

    @property
    def group(self) -> str:
        """Its entry point group."""
        return f"dicomgate.{self.word}s"


AUTHENTICATORS = Kind("authenticator", {name: name for name in _AUTHENTICATORS})
