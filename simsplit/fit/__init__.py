"""What is fitted once and kept: network weights and link tables."""
