"""The listener of `[admin]`: health checks, metrics, and the status page, by HTTP.

Law: /live and /ready say one word to everybody. Everything else is for those whom the configuration names, who log in
by the gateway's own authenticators, throttled and recorded as any login. GET changes nothing.

This is the only package that imports starlette, uvicorn and jinja2 (the extra `dicomgate[admin]`).

Modules:

    actions      What operators do at the page, and what is said of it afterwards
    api          The same for scripts: JSON, with HTTP Basic or Bearer
    application  Which address of the page is answered by whom
    connections  HTTP on a listening socket of ours: bounded in number, size and time
    counters     The counters of failed logins, as the page shows them
    entrance     What every request must bring, whatever it asks for, and the headers of every answer
    health       /live, /ready and /metrics
    judging      A login at the page: judged by the gateway's own chain and guard
    logins       Who is logged in to the page: in memory, for fifteen minutes, at most eight hours
    page         The status page and its login form: HTML that is whole without a script
    repeats      What is recorded once in fifteen minutes
    requests     What a request brings: its form or its JSON, bounded; its cookie; who sent it
    service      The listener's life: it follows each reload
    shown        How values appear on the page: text from peers on one line, bytes, times
    site         What all who answer share
    view         The status of the gateway, as the page shows it
"""
