"""One module for each domain of operators; all are imported when the table is first asked for."""
