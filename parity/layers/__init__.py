"""Layer by layer: what each layer of a port inherits, injects and amplifies, and the first one that is wrong."""
