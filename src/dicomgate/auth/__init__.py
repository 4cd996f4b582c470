"""From an Attempt to a decision. No PDU is known here, and no socket.

Modules:

    call            One call of one authenticator, and its time: the authenticator's to work, the attempt's to wait
    chain           The operator's order: the first answer that is not Pass wins
    decision_check  Hold an authenticator's answer against the contract: a decision, with fields of the right types
    groups          Groups from a second authenticator: a ticket says who the user is, a directory which groups it has
    link            Call an authenticator so that, whatever it does, the outcome is a decision in time
    loading         Entry points -> authenticators: the signature of an entry point is the schema of its table
    members         What an authenticator says of itself besides its answers: the optional members of the contract
    problems        What pydantic finds wrong with a table, in the words of an administrator
    table           The keys that every `[[authenticator]]` table has; all others are the options of its authenticator
    type_words      The type of an option in an administrator's words: "text", "duration", "list of paths"
    workers         The threads of an authenticator whose `authenticate` is a plain method, kept from call to call
"""
