"""Files that checkpoints are in: read one tensor at a time, and written from a finished stage."""
