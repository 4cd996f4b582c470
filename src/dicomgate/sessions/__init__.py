"""The associations under way: whose they are, how many a user may have, and their end by an operator.

Modules:

    asking        A question to all other gateways on the same Redis, and their answers in time
    everywhere    The other gateways on the same Redis: their associations, and orders to all
    kick          What an operator orders at all gateways: the end of associations, or of all those of a user
    listed        The associations of a gateway as its operators and the other gateways see them
    namesakes     Gateways that have the same name by mistake: they are told apart, and the log says so
    register      Every association under way: whose it is, from where to where, since when, and how to end it
    revalidation  Users who leave: while they are connected, they are asked about again
    shared        The places of users at all gateways together: counted in the Redis that they share
    shut_outs     Users whom an operator shuts out for a time. Their logins are judged as ever, and then refused
    users         How many associations each user has, and whether he may have one more
"""
