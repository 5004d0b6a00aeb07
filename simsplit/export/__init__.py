"""A run for other programs: a trace for Perfetto, its traffic to be replayed, its table."""

from __future__ import annotations

from simsplit.export.files import Job as Job
from simsplit.export.files import run_table as run_table
from simsplit.export.files import traffic as traffic
from simsplit.export.files import write_table as write_table
from simsplit.export.files import write_trace as write_trace
from simsplit.export.window import Window as Window
