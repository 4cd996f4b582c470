"""The wire: bytes <-> values, for the two messages that the gateway understands.

Law 1: be the strictest parser on the path. Refuse bytes from which two DICOM stacks could read two different things.
Law 2: encode anew from the value, never relay received bytes. Unknown items are ignored (PS3.8 9.3.1) and not
       relayed, reserved bytes become 0, items are in ascending order. What is merely untidy is trimmed or left out;
       lengths, duplicates and identities are never forgiven (docs/decisions.md).
Law 3: parsing raises `PduError` and nothing else; anything else is a defect. No `assert` guards input.
Law 4: use memory in proportion to the bytes received, never to the bytes declared.

Modules:

    associate         A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3): strict parse to a value, canonical encode
    dimse             DIMSE command sets (PS3.7 6.3.1, annex E): strict decode of what came, and the gateway's responses
    echo              A C-ECHO (PS3.7 9.1.5): the association for it, and its messages; bytes in, bytes out
    foreign           Which other protocol a peer speaks, by its first bytes
    items             Walk and build the variable items of the A-ASSOCIATE PDUs (PS3.8 9.3.2, PS3.7 annex D.3)
    pdu               Cut a stream into PDUs before the association is established (PS3.8 9.3.1)
    presentation      Presentation contexts: proposed by 20H (PS3.8 9.3.2.2), answered by 21H (PS3.8 9.3.3.2)
    proxy             The PROXY protocol, versions 1 and 2: whose connection a load balancer hands on
    reject_abort      A-ASSOCIATE-RJ (PS3.8 table 9-21), A-ABORT (table 9-26), and the error that carries one
    user_identity     The login: sub-item 58H of the A-ASSOCIATE-RQ, 59H of the -AC (PS3.7 D.3.3.7)
    user_information  The user information item 50H without the login: sub-items 51H to 57H (PS3.7 D.3.3)
"""
