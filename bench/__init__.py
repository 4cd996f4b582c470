"""The benchmarks: dicomgate compared with a direct connection, HAProxy and pynetdicom. `make bench` runs them all.

Rule: contestants are compared within one round, in random order, and never across runs. The report has the median of
the rounds, the median of the ratios within each round, the spread, and the CPU time of the contestant's own processes.
The program decides whether a target is reached, not the reader.

Each benchmark is a module with a function `run`, from options to comparisons; `__main__` has their titles. The other
modules are the contestants, the load, the server and the report.
"""
