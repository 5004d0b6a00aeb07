"""Verbs over runs: run, replicate, sweep, optimise, capacity, check, validate.

The composition root: here the acts are put together (``run.run``), in parallel and resumable
(``sweep.sweep``). What comes before knows nothing of it.
"""
