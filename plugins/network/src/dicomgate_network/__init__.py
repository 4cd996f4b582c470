"""dicomgate-network: AE titles bound to source networks, for attempts without a user identity.

This proves little: an AE title is not a secret, and an attacker on the same network can take over an address.
"""

from .authenticator import Device, Network

__all__ = ["Device", "Network"]
