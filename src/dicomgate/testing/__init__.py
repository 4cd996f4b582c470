"""The kit for authors of authenticators.

attempts    `attempt(...)` makes an Attempt; `username`, `passcode`, `kerberos`, `saml` and `jwt` make its Identity
contract    `AuthenticatorContract`: the laws that every authenticator keeps, as pytest tests

    import pytest
    from dicomgate import Attempt
    from dicomgate.testing import AuthenticatorContract, attempt, passcode

    class TestStaff(AuthenticatorContract):
        @pytest.fixture
        def authenticator(self, tmp_path): return Staff(file=tmp_path / "staff")

        @pytest.fixture
        def good(self) -> Attempt: return attempt(passcode("alice", "correct horse"))

        @pytest.fixture
        def bad(self) -> Attempt: return attempt(passcode("alice", "battery staple"))

The kit itself needs no pytest.
"""

from .attempts import attempt, jwt, kerberos, passcode, saml, username
from .contract import AuthenticatorContract, ask

__all__ = ["AuthenticatorContract", "ask", "attempt", "jwt", "kerberos", "passcode", "saml", "username"]
