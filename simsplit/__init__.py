"""simsplit: a discrete-event simulator of wireless split computing."""

__version__ = "0.1.0"
