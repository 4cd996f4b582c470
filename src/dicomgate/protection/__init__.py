"""What stands around each question to the chain: throttle, replay cache, recent credentials.

Modules:

    guard               What stands around every question to a chain: throttle, then the chain, then the replay cache
    recent_credentials  The credential tried last: tells a client that repeats itself from one that guesses
    throttle            Who may be verified now: failed attempts are counted, and the next one waits longer
"""
