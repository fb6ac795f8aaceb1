"""Sweeps: port and check many models, each in a process of its own."""
