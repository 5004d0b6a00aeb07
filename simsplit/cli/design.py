"""Verbs about finding designs: optimise, capacity."""

from __future__ import annotations
