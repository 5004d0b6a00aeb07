"""Networks that can be cut in two, and what carries their features over the air."""
