"""Older opsets: what a newer operator is in the operators of a tool that stops earlier."""
