"""The chain without a clock: prepare what samples cost to send, score what arrived; its cache.

``scenario.open_pipeline`` opens the `Pipeline` of a scenario: one chain per operating point
(``chains``), those of ``models/`` in ``trained``, those of any other network in ``traced`` and
``coded``.
"""
