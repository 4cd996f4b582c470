"""The wire: bytes <-> values, for the two messages that the gateway understands.

Law 1: the strictest parser on the path. Where two DICOM stacks could read two things from the same bytes, refuse.
Law 2: encode anew from the model, never relay received bytes. Unknown items are ignored (PS3.8 9.3.1) and not
       relayed, reserved bytes become 0, items stand in ascending order.
Law 3: parsing raises `PduError` and nothing else; anything else is a defect. No `assert` guards input.
Law 4: memory in proportion to the bytes received, never to the bytes declared.

    framing          cut a stream into PDUs, a length limit for each type
    items            walk and build the variable items
    presentation     20H and 21H: presentation contexts, proposed and answered
    negotiation      51H to 57H: what the user information item negotiates
    identity         58H and 59H: the login
    associate        A-ASSOCIATE-RQ and -AC as values
    agreement        an A-ASSOCIATE-AC held against the A-ASSOCIATE-RQ that it answers
    dataflow         the PDUs of an established association: P-DATA-TF, A-RELEASE, A-ABORT, header by header
    refusal          A-ASSOCIATE-RJ and A-ABORT by name
"""
