"""For all tests: one thread for each process.

Tests run side by side, and their tensors are small: threads that wait for each other on a busy machine cost ten times
what they save. Set before anything imports PyTorch; child processes inherit it.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
