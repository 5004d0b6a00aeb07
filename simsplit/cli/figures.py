"""Verbs about figures and tables: plot, table."""

from __future__ import annotations
