"""The kit for authors of authenticators.

attempts    `attempt(...)` makes an Attempt; `username`, `passcode`, `kerberos`, `saml` and `jwt` make its Identity
contract    `AuthenticatorContract`: the laws that every authenticator keeps, as pytest tests
variants    what they make of a good attempt
watching    what an authenticator does unseen: logs, stalls, things left behind
plugin      the pytest plugin with the fixture `gateway`; named by a test file, loaded by nobody else
gateway     what that fixture starts: a whole gateway, and what came of each login
clients     who logs in there: a client of our own, pynetdicom, storescu
pacs        what stands behind it
running     a gateway in a thread of its own, by its configuration
slices      synthetic CT images
kdc         a Kerberos KDC on loopback, where MIT's is installed

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

This front door needs no pytest, and imports neither `plugin` nor what it starts.
"""

from .attempts import attempt, jwt, kerberos, passcode, saml, username
from .contract import AuthenticatorContract, ask

__all__ = ["AuthenticatorContract", "ask", "attempt", "jwt", "kerberos", "passcode", "saml", "username"]
