import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

# Small products on two threads are slower than on one, and far slower while other tests run.
torch.set_num_threads(1)
