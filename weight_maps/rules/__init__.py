"""The rules that tensors go through on their way into another naming, each with its inverse or why it has none."""
