"""Write under one backend, or load what the others wrote; one process a backend.

child write FOLDER      what each program of this folder writes, in folders of its own
child load FOLDER...    the same; a program that fails is told with its error
"""

import sys
import traceback
from pathlib import Path

from support.distributed.trained_model import tell
from support.portability import averages, states, trained

PROGRAMS = {"averages": averages, "states": states, "trained": trained}

for name, program in PROGRAMS.items():
    for folder in map(Path, sys.argv[2:]):
        error = ""
        try:
            getattr(program, sys.argv[1])(folder / name)
        except Exception:  # noqa: BLE001 - the answer, here
            error = traceback.format_exc()
        tell(**{f"{name} of {folder.name}": error})
