"""Training on several processes: one decision, and each process writes its part.

`ranks.py` lets processes agree, `shared_runs.py` lets them share a run directory, and
an engine (`engine.py`) writes a state whose pieces lie in different processes, of which
`divided.py` reads what this process needs.
"""

from multiback.distributed.divided import Held, read_held
from multiback.distributed.formats import Engine, Format, check_format, engine_of
from multiback.distributed.ranks import Ranks, ranks_here
from multiback.distributed.shared_runs import SharedRuns
from multiback.distributed.workers import refuse_workers

__all__ = [
    "Engine",
    "Format",
    "Held",
    "Ranks",
    "SharedRuns",
    "check_format",
    "engine_of",
    "ranks_here",
    "read_held",
    "refuse_workers",
]
