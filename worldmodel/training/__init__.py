"""Training: noise plans, losses, stages, the loop, evaluation and samples. Needs the extra `train`."""
