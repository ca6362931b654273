"""MineRL as a Gymnasium environment (`env`), and other environments as if they were MineRL (`facade`)."""
