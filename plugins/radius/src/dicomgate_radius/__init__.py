"""dicomgate-radius: username and passcode logins, from RADIUS servers (RFC 2865).

authenticator   `Radius`, what `use = "radius"` makes
messages        what an Access-Request says, and what an answer decides
servers         several in order, and which of them did not answer a moment ago
server          one of them: its name looked up, its conversation begun
conversation    one connected socket: requests out, and only answers that can be believed in
dictionary      the attributes that are used, as pyrad reads them

Everything runs in the gateway's event loop, and nothing in here blocks it.
"""

from .authenticator import Radius

__all__ = ["Radius"]
