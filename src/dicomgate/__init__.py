"""dicomgate: the authentication gateway for DICOM.

The house, floor by floor; a module imports only from lower floors or from its own folder:

    [0] contract, errors, durations, addresses     what an authenticator sees and answers; what is raised
    [0] shared, trusted_file, fetching   what gateways know together; files, and documents over https
    [1] wire/                            bytes <-> values (PS3.8 chapter 9, PS3.7 annex D)
    [1] auth/                            from an Attempt to a decision
    [1] observe/                         what is told about associations
    [1] state/                           where it is kept what gateways know together: SQLite, Redis
    [2] admission, handshake             one association up to its hand-over, without sockets
    [3] gateway/                         sockets: listener, session, upstream, relay, TLS
    [4] tables, config, assembly         TOML -> frozen values -> what associations find
    [4] custody, server                  the shared state and its guard; start, run, drain, stop
    [4] embedding                        the same judgement inside of another program
    [5] cli, demo/                       the operator's commands

This front door is all that a plugin imports.
"""

from .contract import (
    Accept,
    Attempt,
    Authenticator,
    Decision,
    Identity,
    IdentityType,
    Once,
    Pass,
    Peer,
    Reject,
    Unavailable,
)
from .errors import ConfigError, DicomgateError, PduError, PluginError, StartError
from .trusted_file import (
    FileStamp,
    check_folders,
    file_stamp,
    read_private,
    read_secret,
    read_secret_text,
    read_trusted,
)

__version__ = "0.1.0"

__all__ = [
    "Accept",
    "Attempt",
    "Authenticator",
    "ConfigError",
    "Decision",
    "DicomgateError",
    "FileStamp",
    "Identity",
    "IdentityType",
    "Once",
    "Pass",
    "PduError",
    "Peer",
    "PluginError",
    "Reject",
    "StartError",
    "Unavailable",
    "check_folders",
    "file_stamp",
    "read_private",
    "read_secret",
    "read_secret_text",
    "read_trusted",
]
