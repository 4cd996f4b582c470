"""Fuzzing of everything that reads bytes of a client that has not logged in.

    python -m fuzz                              every target for ten seconds
    python -m fuzz jwt_token --seconds 600      one target for ten minutes
    python -m fuzz jwt_token --replay FILE      one input again

Each module named in `TARGETS` has a `TARGET`. A run needs no other library; with atheris installed, `--guided` lets
libFuzzer choose the inputs by the code they reach.
"""

TARGETS = (
    "proxy_header",
    "associate_request",
    "associate_accept",
    "pdu_reader",
    "pdv_stream",
    "command_set",
    "message_stream",
    "jwt_token",
    "saml_assertion",
)
