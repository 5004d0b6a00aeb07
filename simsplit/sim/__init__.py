"""Act two: the discrete-event simulation (SimPy). Never imports torch; it is handed what it needs."""
