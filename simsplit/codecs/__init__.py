"""Codecs: arrays to bytes and back; a payload is len(bytes) * 8 bits, header included."""
