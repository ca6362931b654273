"""The imagined environment: a world model, stepped."""
