"""Composite operators put together again: one file for each, called in order by ``porters.canonicalize``."""
