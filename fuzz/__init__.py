"""Fuzzing of everything that reads bytes of strangers, or of a disk that may be damaged.

    python -m fuzz                              every target for ten seconds
    python -m fuzz wire --executions 10000000   those of the wire, ten million inputs each
    python -m fuzz jwt_token --replay FILE      one input again
    python -m fuzz --measure                    what of its modules each target's inputs reach
    python -m fuzz jwt_token --grow             keep the inputs that reach more in fuzz/corpus/

A run needs no other library; with atheris installed, `--guided` lets libFuzzer choose the inputs by the code they
reach.
"""

from itertools import chain

GROUPS = {
    "wire": (
        "proxy_header",
        "tls_hello",
        "associate_request",
        "associate_accept",
        "upstream_answer",
        "pdu_reader",
        "pdv_stream",
    ),
    "dimse": ("command_set", "message_stream", "dialogue"),
    "credentials": ("jwt_token", "jwt_login", "saml_assertion", "saml_login", "kerberos_form"),
    "operators": ("control_socket", "page"),
    "disk": ("users_file", "audit_spool"),
}
"""The targets by what they read; each is a module of `fuzz.targets`."""
TARGETS = tuple(chain.from_iterable(GROUPS.values()))
