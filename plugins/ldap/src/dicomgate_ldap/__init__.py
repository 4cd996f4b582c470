"""dicomgate-ldap: username and passcode logins, from an LDAP directory or Active Directory.

    authenticator   `Ldap`, the class that `use = "ldap"` makes
    settings        what the operator wrote about a directory, checked at the start
    directory       what is asked about a user: passcode, name, groups
    server          one server: so many questions at a time, each with a deadline, on connections that are bound
    bind_errors     why a directory refuses a login
    connection      LDAP with one server, by libldap
    relay           TCP and TLS with one server, by asyncio, relayed to libldap

Everything runs in the gateway's event loop, and nothing in here blocks it.
"""

from .authenticator import Ldap

__all__ = ["Ldap"]
