"""A device: arrivals, processor, energy and battery, heat."""
