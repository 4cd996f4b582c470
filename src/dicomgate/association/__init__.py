"""One association's whole life, without sockets.

Modules:

    accept_check  An A-ASSOCIATE-AC held against the A-ASSOCIATE-RQ that it answers
    admission     Verdict and policy -> admit, with which response item; or refuse, with which codes (docs/decisions.md)
    effects       What a handshake asks of the code that owns the sockets: carry these out, in their order
    handshake     One association from its first byte to its hand-over: inputs in, effects out, no sockets
    pdv_stream    The PDUs of an established association, header by header as they pass (PS3.8 9.3.5 to 9.3.8)
    stages        What a handshake knows in each of its states: nothing is there before it exists, or after it is needed
    transitions   The legal moves of the handshake: in which state which input may lead to which states
"""
