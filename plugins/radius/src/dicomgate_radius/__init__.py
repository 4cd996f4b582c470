"""dicomgate-radius: username and passcode logins, from RADIUS servers (RFC 2865).

    authenticator   `Radius`, the class that `use = "radius"` makes
    messages        what an Access-Request says, and what an answer decides
    server          one server: its name looked up, its socket opened
    conversation    one connected UDP socket: requests out, and only authentic answers in
    dictionary      the RADIUS attributes in use, in the format that pyrad reads

Everything runs in the gateway's event loop, and nothing in here blocks it.
"""

from .authenticator import Radius

__all__ = ["Radius"]
