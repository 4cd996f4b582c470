"""The running gateway as its operators see it, and what they may do to it.

Law: nothing here is needed for a login, and nothing here holds one up: what takes long is done in a thread of its own.

Modules:

    as_json         Answers as JSON: objects with the names of their fields, times in ISO 8601, long lists in pieces
    collector       The numbers of the running gateway, as Prometheus reads them
    control         The control socket: operators' commands ask here, a question a line
    control_client  Ask the running gateway at its control socket; for commands, which wait
    control_words   What is said on the control socket: a question is a JSON object on a line, and so is its answer
    counters        What happened since the start, in plain numbers: fed with each event in the loop, read in any thread
    lag             How late the gateway's event loop is: what holds it up holds up every association
    metrics         The metrics: what each is called, what its labels are, and what it says
    operator        What an operator may ask of the running gateway, and do to it; each deed is in the audit
    serving         Serve operators beside a running gateway: what its configuration asks for, and nothing without that
    status          What is going on, as values: for the command line, the status page and metrics
    thread          The thread that serves operators: an event loop of its own, beside the gateway's
    watch           What is remembered of past events: the last refusals, and how it stands with each upstream
    web/            The listener of `[admin]`: health checks, metrics, and the status page, by HTTP
"""
