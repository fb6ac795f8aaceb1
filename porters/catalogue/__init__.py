"""Factories of the catalogue's models that no source reference alone can name: one function for each."""
