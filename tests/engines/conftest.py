import sys
from pathlib import Path

# Importlib mode leaves the folder off the path.
sys.path.insert(0, str(Path(__file__).parent))
