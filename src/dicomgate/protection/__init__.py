"""What happens before and after each question to the chain: throttle, replay cache, recent credentials.

Modules:

    account_key         The key under which a name is counted: the same for all its spellings
    guard               Around every question to a chain: throttle first, then the chain, then the replay cache
    recent_credentials  The last credential of each subject: tells a client that repeats itself from one that guesses
    throttle            Who may be verified now: failed attempts are counted, and the next one waits longer
"""
