"""One module for each kind of known porting mistake: what undoes it, tried on a wrong layer."""
