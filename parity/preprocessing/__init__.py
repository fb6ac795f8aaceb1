"""From raw sample to tensor as a card declares it, and whether the original's own transform does the same."""
