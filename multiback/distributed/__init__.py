"""Training on several processes: one decision, and each process writes its shards.

`ranks.py` lets processes agree, `shared_runs.py` lets them share a run directory, a
state writer (`formats.py`) writes a state that is sharded over processes, and
`divided.py` reads this process's shards.
"""

from multiback.distributed.divided import LocalState, read_held
from multiback.distributed.formats import (
    Format,
    StateWriter,
    check_format,
    state_writer_of,
)
from multiback.distributed.ranks import Ranks, ranks_here
from multiback.distributed.shared_runs import SharedRuns
from multiback.distributed.workers import refuse_workers

__all__ = [
    "Format",
    "LocalState",
    "Ranks",
    "SharedRuns",
    "StateWriter",
    "check_format",
    "ranks_here",
    "read_held",
    "refuse_workers",
    "state_writer_of",
]
