"""The chain without a clock: prepare what samples cost to send, score what arrived; its cache.

Others use ``scenario.opened_pipelines``, which opens the pipelines of a scenario: ``trained`` for
our own networks, ``traced`` for any other.
"""
