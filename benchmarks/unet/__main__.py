"""`python benchmarks/unet` trains; see `train.py`."""

import sys
from pathlib import Path

# In the place of this folder, whose modules have names that others may have too.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from unet.train import main  # noqa: E402 - found only now

if __name__ == "__main__":
    main()
