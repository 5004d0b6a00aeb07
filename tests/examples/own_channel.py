"""An SNR process of one's own: every device passes by the antenna again and again."""

import math


class PassingBy:
    def __init__(self, rng, mean_db=15.0, swing_db=10.0, period_s=4.0):
        self.mean_db, self.swing_db, self.period_s = mean_db, swing_db, period_s
        self.phase = rng.uniform(0.0, 2.0 * math.pi)

    def snr_db(self, time_s):
        turn = 2.0 * math.pi * time_s / self.period_s + self.phase
        return self.mean_db + self.swing_db * math.cos(turn)
