"""Many runs into one folder: in parallel, resumed where they were stopped, one tidy table."""

from __future__ import annotations

from simsplit.axes import parse_axis as parse_axis
from simsplit.points import Point as Point
from simsplit.sweep.folder import Status as Status
from simsplit.sweep.folder import status as status
from simsplit.sweep.points import resume as resume
from simsplit.sweep.points import run_points as run_points
from simsplit.sweep.points import run_sweep as run_sweep
from simsplit.sweep.points import sweep as sweep
from simsplit.sweep.tables import judged_row as judged_row
from simsplit.sweep.tables import load_results as load_results
from simsplit.sweep.tables import read_requests as read_requests
