"""From a configuration to a running gateway, or to a login service inside another program.

Modules:

    assembly        A configuration -> authenticators, credentials, upstreams and listeners, certificates loaded
    audits          The audit that a configuration names: `audit` of `[gateway]`, and the `[[audit]]` tables -> sinks
    changes         Files that change under a running gateway: `reload_on_change` has it load them by itself
    checking        What goes on at the addresses of pools without any client: checks, and looking up names again
    control_socket  The socket in the file system that operators' commands talk to: made, replaced and removed
    doubts          What is allowed, but probably not meant: warnings of `dicomgate check`, and of the log at the start
    embedding       Verify logins as the gateway does, inside another program that opens its own port
    generation      Everything that one reading of the configuration names, ready for use
    history         What has become of a running gateway: when it started, its reloads, and whether it is draining
    limits          What rules leave of an association in another program: what it may negotiate, and what it may serve
    links           The `[[authenticator]]` and `[[credential]]` tables -> what the gateway asks
    listener_tls    The `tls` table of a listener, the page's too -> what new connections use
    listening       The listeners of a running gateway: which are open, and what a reload changes of them
    named_files     The files that a configuration names, and the certificates in them
    page            What `[admin]` names, ready for use: who may log in to the page, and what they may do there
    policies        What is required of associations: by a listener's table, or by a program that has no listener
    protection      The shared state that a configuration names, and the guard that uses it
    records         Tell the log and the audit what happened; wait for the audit where a login needs its record
    rehearsal       A start without listening: what `dicomgate check` tries, in the order of `generation.prepare`
    rule_doubts     Doubts about rules: which never match, which add nothing, and what was probably not meant
    server          The gateway's life: start, run, reload, drain, stop
    systemd         What systemd is told of the running gateway, and that it is alive: sd_notify(3)
    upstreams       The `[[upstream]]` tables -> what is dialled, and the routes that lead there
"""
