"""Writes a static graph as a MindSpore project: readable Cells that follow the upstream modules, and a checkpoint."""
