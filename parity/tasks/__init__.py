"""One module for each task: reading samples, preprocessing as the card declares, answers and the metric."""
