"""Training on several processes: one decision, and each process writes its part.

`ranks.py` lets processes agree, `shared_runs.py` lets them share a run directory, and
an engine (`engine.py`) writes a state whose pieces lie in different processes.
"""

from multiback.engines.engine import Engine, Format, check_format, engine_of
from multiback.engines.joining import ranks_here
from multiback.engines.ranks import Ranks
from multiback.engines.shared_runs import SharedRuns

__all__ = [
    "Engine",
    "Format",
    "Ranks",
    "SharedRuns",
    "check_format",
    "engine_of",
    "ranks_here",
]
