"""The associations under way: whose they are, how many a user may have, and their end by an operator.

Modules:

    listed        The associations of a gateway as its operators and the other gateways see them
    register      Every association under way: whose it is, from where to where, since when, and how to end it
    revalidation  Users who leave: while they are connected, they are asked about again
    shut_outs     Users whom an operator shuts out for a time. Their logins are judged as ever, and then refused
    users         How many associations each user has, and whether he may have one more
"""
