"""`use = "username"`: the upstream sees who the user is, without a proof: User-Identity-Type 1 (PS3.7 D.3.3.7.1)."""

from __future__ import annotations

from dicomgate import Admission, Identity, IdentityType, Presented


class Username:
    """The name of the user, as an authenticator has verified it. It has no keys."""

    async def present(self, admission: Admission, /) -> Presented:
        """The user's name."""
        return Presented(Identity(IdentityType.USERNAME, admission.user.encode()))
