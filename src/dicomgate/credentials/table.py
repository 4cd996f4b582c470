"""The `[[credential]]` table, and where credentials come from."""

from __future__ import annotations

from ..auth.kind import Kind
from ..auth.table import PluginTable

_PLUGINS = {
    "service": "passcode",
    "username": "passcode",
    "minted": "jwt",
    "client-credentials": "jwt",
    "token-exchange": "jwt",
    "token-file": "jwt",
    "assertion-file": "saml",
    "ticket": "kerberos",
}
CREDENTIALS = Kind("credential", _PLUGINS)


class CredentialTable(PluginTable):
    """One `[[credential]]` table."""
