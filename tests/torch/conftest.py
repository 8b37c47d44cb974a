"""Nothing here is collected where torch is not installed."""

from __future__ import annotations

import importlib.util

# This folder is on the import path by its own name: without torch, `import torch` finds it, an empty namespace.
_spec = importlib.util.find_spec("torch")
collect_ignore_glob = [] if _spec is not None and _spec.origin is not None else ["test_*.py"]
