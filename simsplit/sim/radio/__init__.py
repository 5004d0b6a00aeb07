"""The shared air in time: positions, links, SINR, slots, grants, HARQ, both directions."""
