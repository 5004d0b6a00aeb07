"""Arrivals of one's own: bursts of pictures after exponential pauses."""


class Bursts:
    def __init__(self, rng, pause_s=1.0, size=5, spacing_s=0.02):
        self.rng, self.pause_s = rng, pause_s
        self.size, self.spacing_s = size, spacing_s

    def gaps_s(self):
        while True:
            yield self.rng.exponential(self.pause_s)
            for _ in range(self.size - 1):
                yield self.spacing_s
