"""From an Attempt to a decision. No PDU is known here, and no socket.

Modules:

    call            One call of one plugin, and its time: the plugin's to work, the attempt's to wait
    chain           The operator's order: the first answer that is not Pass wins
    decision_check  Hold an authenticator's answer against the contract: a decision, with fields of the right types
    groups          Groups from a second authenticator: a ticket says who the user is, a directory which groups it has
    kind            A kind of plugins: one entry point group, and one table of the configuration file
    link            An authenticator in a chain: whatever it does, the outcome is a decision in time
    loading         Entry points -> plugins: the signature of an entry point is the schema of its table
    members         What an authenticator says of itself besides its answers: the optional members of the contract
    plugged         An object of a plugin, called so that, whatever it does, there is an answer in time
    problems        What pydantic finds wrong with a table, in the words of an administrator
    table           The keys that every table of a plugin has; all others are the options of that plugin
    type_words      The type of an option in an administrator's words: "text", "duration", "list of paths"
    workers         The threads of an authenticator whose `authenticate` is a plain method, kept from call to call
"""
