"""A policy of one's own: the feature while the channel is good, the device's own answer else."""

import math


class Careful:
    def __init__(self, costs, options, rng):
        self.limit_db = options.get("limit_db", 5.0)
        self.remote = next(c.name for c in costs.values() if c.is_remote)
        self.local = next(c.name for c in costs.values() if not c.is_remote)

    def choose(self, knowledge, sample):
        unknown = math.isnan(knowledge.snr_db)
        return self.local if unknown or knowledge.snr_db < self.limit_db else self.remote
