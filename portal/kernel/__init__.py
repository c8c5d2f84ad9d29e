"""No business and no HTTP: time, database, ids, errors, pages, mail, jobs."""
