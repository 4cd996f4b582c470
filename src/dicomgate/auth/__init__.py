"""From an Attempt to a decision. No PDU is known here, and no socket.

Modules:

    chain           The operator's order: the first answer that is not Pass wins
    decision_check  Hold an authenticator's answer against the contract: a decision, with fields of the right types
    groups          The groups of a user whom something else verified: a ticket says who, a directory says what
    link            Call an authenticator so that, whatever it does, the outcome is a decision in time
    loading         Entry points -> authenticators: the signature of an entry point is the schema of its table
    table           The keys that every `[[authenticator]]` table has; all others are the options of its authenticator
"""
