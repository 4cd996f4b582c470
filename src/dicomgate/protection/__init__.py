"""What happens before and after each question to the chain: throttle, replay cache, recent credentials.

Modules:

    account_key         The key under which a name is counted: the same for all its spellings
    forecast            What the guard would answer now, with nothing counted and nothing used up: for `dicomgate ask`
    guard               Around every question to a chain: throttle first, then the chain, then the replay cache
    recent_credentials  The last credential of each subject: tells a client that repeats itself from one that guesses
    single_use          A credential that may be used once: an accepting verdict stands only for its first use
    standing            Charges that are passed on, from a token that proved genuine to the next one of the same source
    throttle            Who may be verified now: failed attempts are counted, and the next one waits longer
    under_way           The attempts that are being verified now, by the counters that have counted them
"""
