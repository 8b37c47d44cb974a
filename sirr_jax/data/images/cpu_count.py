"""Number of processor cores available for data loading."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Returns the number of cores that this process may use; the machine can have more."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
