"""What a user may say: frozen, bounded nouns, and how YAML becomes one checked Scenario.

Comes first: it knows no clock, no air and no network. Others use ``load.load``,
``load.resolved_yaml`` and ``load.digest``, ``scenario.Scenario`` and its nouns (``cell``,
``channel``, ``devices``, ``edge``, ``operating_points``, ``policies``), ``axis_text`` and
``sweeps`` for sweep files, ``bundled`` for what comes with the package.
"""
