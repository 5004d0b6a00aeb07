"""Verbs about what results say: compare, bd, warmup."""

from __future__ import annotations
