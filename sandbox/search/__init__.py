"""From a query string to SQL and back to a searchset Bundle; every access limit is part of the SQL."""
