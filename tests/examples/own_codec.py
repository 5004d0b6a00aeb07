"""A codec of one's own: pictures at half the resolution, zipped."""

import zlib

import numpy as np


class HalfSize:
    def __init__(self, shape, level=9):
        self.shape, self.level = shape, level  # (H, W, C), known at both ends

    def encode(self, array):
        return zlib.compress(array[::2, ::2].tobytes(), self.level)

    def decode(self, payload):
        height, width, channels = self.shape
        half = np.frombuffer(zlib.decompress(payload), np.uint8)
        half = half.reshape(-(-height // 2), -(-width // 2), channels)
        return half.repeat(2, 0).repeat(2, 1)[:height, :width]
