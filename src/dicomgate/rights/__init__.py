"""Who may do what, after the login: rules, rights, and what they mean for contexts and commands.

Law: rules grant, and nothing else. What no rule grants is refused; rights are the sum of the rules that match. Without
rules everybody who is admitted may do all that the PACS allows. Pure functions: no sockets, no clock, no log.

Modules:

    contexts    Which presentation contexts of a request go on to the PACS (PS3.8 9.3.2.2)
    operations  Commands: which messages of a client may reach the PACS over one association
    rights      What one association may do: the sum of the rules that match. Settled once, when it is admitted
    rule        A rule: who it is for, and what it allows
    services    The services of DICOM in an operator's words: which SOP classes each has, with which requests
    storage     The SOP classes of storage: those of PS3.4 B.5, of GG.3 for what belongs to no patient, and retired ones
    suggest     From what was done to rules that let it through: the core of `dicomgate rules suggest`
    table       The `[[rule]]` table of the configuration file -> a rule
    work        What was done, as the audit tells it: who used which services, for `dicomgate rules suggest`
"""
