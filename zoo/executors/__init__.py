"""One module for each executor; a module is imported when its executor is asked for."""
