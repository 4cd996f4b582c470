"""dicomgate: the authentication gateway for DICOM.

The front door: the contract between the gateway and an authenticator. What authenticators share is in `dicomgate.kit`.
A module imports only from lower floors or from its own folder (docs/architecture.md).

Modules:

    contract      The contract between the gateway and an authenticator
    errors        The exceptions that the gateway raises on purpose, grouped by whose fault they are
    admin/        The running gateway as its operators see it, and what they may do to it
    association/  One association's whole life, without sockets
    audit/        Where records are kept for auditors: files, the journal, syslog, ATNA
    auth/         From an Attempt to a decision. No PDU is known here, and no socket
    cli/          The command line: the commands of `dicomgate`, and those that plugins add
    config/       One TOML file -> frozen, checked tables
    credentials/  As whom the gateway presents itself to an upstream. No PDU is sent here
    demo/         `dicomgate demo`: a PACS, the gateway in front of it, and who gets in
    events/       The records of associations, and the sinks that write them: audit and log
    kit/          The second door: what authenticators share, and the core uses itself
    net/          The sockets: non-blocking, served by the callbacks of one event loop
    protection/   What happens before and after each question to the chain: throttle, replay cache, recent credentials
    rights/       Who may do what, after the login: rules, rights, and what they mean for contexts and commands
    run/          From a configuration to a running gateway, or to a login service inside another program
    scu/          A small DICOM client: it logs in, echoes and stores, for the commands and the tests
    sessions/     The associations under way: whose they are, how many a user may have, and their end by an operator
    state/        The stores of what gateways share: one file of one machine, or one Redis for several machines
    testing/      The kit for authors of authenticators
    wire/         The wire: bytes <-> values, for the two messages that the gateway understands
"""

from .contract import (
    Accept,
    Admission,
    Attempt,
    Authenticator,
    Credential,
    Decision,
    Identity,
    IdentityType,
    Once,
    Pass,
    Peer,
    Presented,
    Probed,
    Reject,
    Unavailable,
    always,
)
from .errors import ConfigError, DicomgateError, PluginError, StartError

__version__ = "0.2.0"

__all__ = [
    "Accept",
    "Admission",
    "Attempt",
    "Authenticator",
    "ConfigError",
    "Credential",
    "Decision",
    "DicomgateError",
    "Identity",
    "IdentityType",
    "Once",
    "Pass",
    "Peer",
    "PluginError",
    "Presented",
    "Probed",
    "Reject",
    "StartError",
    "Unavailable",
    "always",
]
