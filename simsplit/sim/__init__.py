"""Act two: the discrete-event simulation (SimPy). Never imports torch; it gets what it needs."""
