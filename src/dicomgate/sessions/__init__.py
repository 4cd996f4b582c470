"""The associations under way: whose they are, how many a user may have, and their end by an operator.

Modules:

    register  Every association under way: whose it is, from where to where, since when, and how to end it
"""
