"""Tasks: what the split networks look at (data sets) and how their answers are scored (metrics)."""
