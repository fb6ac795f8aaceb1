"""The porting mistakes that the checker must catch, each as a change to a sound port's graph."""
