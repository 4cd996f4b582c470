"""dicomgate-kerberos: Kerberos logins, User-Identity-Type 3, of clients and at upstreams (RFC 4120, RFC 4121)."""

from .authenticator import Kerberos
from .ticket import Ticket

__all__ = ["Kerberos", "Ticket"]
