"""What a graph can do without: one file for each kind, called in order by ``porters.canonicalize``."""
