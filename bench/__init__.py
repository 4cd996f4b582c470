"""The benchmarks: dicomgate beside a direct connection, HAProxy and pynetdicom. `make bench` runs them all.

Law: contestants are compared within one round, in random order, and never across runs. What is reported is the median
of the rounds, the median of the ratios within each round, the spread, and the CPU time that the contestant's own
processes took. Bars are judged by the machine, never by hand.

results        samples of rounds -> medians, ratios, spreads, and which bars they reach
processes      start a process, wait until it listens, read its CPU time and memory, stop it
messages       the PDUs that are sent, made once
pacs           the server behind every contestant: answers C-ECHO, swallows bulk data; a process of its own
load           the clients on raw sockets: bulk data, associations, idle associations
contestants    HAProxy, dicomgate, pynetdicom as processes
dcmtk          storescu and storescp
report, chart  results -> Markdown, SVG, docs/performance.md
bulk, tls, rate, idle, latency, parse, storescu, stock
               one benchmark each: a function `run` from options to comparisons
"""
