"""A scheduler of one's own: the weakest device first, all the blocks that it can use."""

import numpy as np


class WeakestFirst(dict):
    def __init__(self, view):
        self.view = view

    def add(self, device):
        self[device] = None

    def remove(self, device):
        self.pop(device, None)

    def pick(self, count, slot):
        members = np.array(sorted(self), dtype=np.int64)
        return members[np.argsort(self.view.level_db(members, slot))][:count].tolist()

    def shares(self, picked, need, n_prb):
        return [n_prb] * len(picked)

    def served(self, device, bits, n_prb):
        pass
