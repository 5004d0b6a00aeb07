"""The clock (SimPy): act two. Never imports torch; it is handed what it needs.

``world.World`` runs one replication and returns its ``History``; ``serve.serve`` is a request's
whole way; ``device``, ``radio``, ``edge`` and ``policy`` stand in the order of that way. Others use
these two, ``request.Request`` and ``Plan``, ``world.Machines``, and ``radio.coverage`` for maps.
"""
