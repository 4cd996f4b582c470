"""The kit for authors of authenticators.

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

This module needs no pytest, and imports neither `plugin` nor what it starts.

Modules:

    attempts        Attempts and admissions as the gateway makes them, with a default for what a test leaves out
    checkpoint      A repair of pynetdicom, whose client can lose an answer that comes very soon
    clients         Three clients that log in: a small one of our own, pynetdicom, DCMTK's storescu
    commandline     `dicomgate ...` for the tests of commands: in this process, or in one of its own
    contract        The laws of an authenticator, as tests (docs/writing-an-authenticator.md)
    credentials     The laws of a credential, as tests
    evidence        What a test run wrote, and the secrets that must not be in it
    fixtures        The fixtures of the project's own tests: gateways, peers, certificates
    gateway         A whole gateway for a test: a configuration, one authenticator, a PACS after it, and clients
    kdc             A real KDC on loopback: MIT's krb5kdc as a plain process, with a realm of its own
    linked          An authenticator or a credential as the gateway has it, entered, for one visit of a test
    pacs            A PACS that knows nothing of users: it accepts every C-ECHO and C-STORE, and keeps no data set
    page_contract   The laws of an authenticator's page, as tests: its tables are what the code does
    pages           The documents as the tests read them: pages, headings, tables, fenced blocks
    plugin          The pytest plugin: a fixture `gateway` that starts gateways with an authenticator of yours
    raw             PDUs as bytes, put together by hand, legal or not: nothing here is the code under test
    raw_client      A client that sends any bytes; it uses none of the code under test
    running         The gateway in a thread of its own, as `dicomgate serve` would run it
    slices          Synthetic CT images: a round phantom that wanders from slice to slice (PS3.3 A.3, CT Image IOD)
    system_gateway  A gateway for a system test: a thread, free ports, a configuration and a folder of its own
    table_contract  The laws of every plugin's table and probe, for the tests of contracts
    timing          Whether someone who measures how long answers take can tell kinds of questions apart
    variants        What a good attempt is turned into, and the forms that its secret could be told in
    watching        What an authenticator must not do: log secrets, block the event loop, leave threads or files
    peers/          The real peers of the system tests: programs and libraries of others, on loopback and free ports
"""

from .attempts import admission, attempt, jwt, kerberos, passcode, saml, username
from .contract import AuthenticatorContract, ask
from .credentials import CredentialContract, present

__all__ = [
    "AuthenticatorContract",
    "CredentialContract",
    "admission",
    "ask",
    "attempt",
    "jwt",
    "kerberos",
    "passcode",
    "present",
    "saml",
    "username",
]
