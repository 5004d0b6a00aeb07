"""Seconds and joules of a workload on a machine, and how they are measured and fitted.

A data sheet (``sheet``) and a roofline by operator kind (``roofline.load_hardware``), a measured
profile (``profile``, ``measure``), a fitted predictor (``predictor``, ``fit_latency``); ``machine``
brings them together.
"""
