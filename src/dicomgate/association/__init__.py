"""One association's whole life, without sockets.

Modules:

    accept_check  An A-ASSOCIATE-AC held against the A-ASSOCIATE-RQ that it answers
    admission     Verdict and policy -> admit, with which response item; or refuse, with which codes (docs/decisions.md)
    effects       What a handshake asks of the code that owns the sockets: carry these out, in their order
    handshake     One association from its first byte to its hand-over: events in, effects out, no sockets
    pdv_stream    The PDUs of an established association, header by header as they pass (PS3.8 9.3.5 to 9.3.8)
    transitions   The legal moves of a handshake: its states, and which input may lead from which to which
"""
