"""dicomgate-network: AE titles bound to source networks, for attempts without a user identity.

authenticator   `Network`, what `use = "network"` makes
networks        networks as an operator writes them, and addresses as a listener sees them

It proves little: an AE title is no secret, and an address can be taken over on its own network.
"""

from .authenticator import Device, Network

__all__ = ["Device", "Network"]
