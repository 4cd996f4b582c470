"""dicomgate-kerberos: logins with Kerberos, User-Identity-Type 3 (RFC 4120, RFC 4121)."""

from .authenticator import Kerberos

__all__ = ["Kerberos"]
