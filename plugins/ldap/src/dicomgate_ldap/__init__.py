"""dicomgate-ldap: username and passcode logins, from an LDAP directory or Active Directory.

Everything runs in the gateway's event loop, and nothing in here blocks it.
"""

from .authenticator import Ldap

__all__ = ["Ldap"]
