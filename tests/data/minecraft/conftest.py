import sys
from pathlib import Path

# For oracle. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))
