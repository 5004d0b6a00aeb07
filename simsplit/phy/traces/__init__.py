"""Channel traces: read from any table of numbers (``read``), or made from models (``make``)."""
