"""dicomgate-radius: username and passcode logins, from RADIUS servers (RFC 2865).

Everything runs in the gateway's event loop, and nothing in here blocks it.
"""

from .authenticator import Radius

__all__ = ["Radius"]
