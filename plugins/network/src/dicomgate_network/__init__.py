"""dicomgate-network: AE titles bound to source networks, for attempts without a user identity.

authenticator   `Network`, what `use = "network"` makes
networks        networks as an operator writes them, and the addresses of peers

This proves little: an AE title is not a secret, and an attacker on the same network can take over an address.
"""

from .authenticator import Device, Network

__all__ = ["Device", "Network"]
