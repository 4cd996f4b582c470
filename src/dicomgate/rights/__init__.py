"""Who may do what, after the login: rules, rights, and what they mean for contexts and commands.

Law: rules grant, and nothing else. What no rule grants is refused; rights are the sum of the rules that match. Without
rules everybody who is admitted may do all that the PACS allows. Pure functions: no sockets, no clock, no log.
"""
