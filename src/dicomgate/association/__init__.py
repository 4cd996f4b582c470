"""One association's whole life, without sockets.

Modules:

    accept_check     Check an A-ASSOCIATE-AC against the A-ASSOCIATE-RQ that it answers
    admission        Verdict and policy -> admit, with which response item; or refuse, with which codes
    client_pdus      The PDUs that a client may send before its association is established
    effects          What the two machines ask of the code that owns the sockets: carry these out, in their order
    established      An established association from its hand-over to its end: inputs in, effects out, no sockets
    handshake        One association from its first byte to its hand-over: inputs in, effects out, no sockets
    message_stream   One direction, message by message: a whole message can be dropped (PS3.8 annex E)
    observed_stream  One direction of which everything lawful passes, and whose messages are judged for the record alone
    pdv_stream       One direction of an established association, header by header as it passes (PS3.8 9.3.5 to 9.3.8)
    presenting       The gateway's login at the upstream: what a credential is asked with, what the response proves
    route            Where an association goes, and as whom the upstream sees it
    stages           What a handshake knows in each of its states, and only there
    transitions      The legal moves of both machines: their states, their inputs, and which input leads where
    upstream_answer  The upstream's answer to the request: the A-ASSOCIATE-AC that the client gets, or why it gets none
    waiting          Whether a sender waits for an answer: then nobody need hurry to acknowledge what it sent
"""
