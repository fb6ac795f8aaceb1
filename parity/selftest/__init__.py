"""The checker checks itself: known porting faults are put into sound ports, and each must be caught and located."""
