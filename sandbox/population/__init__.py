"""Population data: what of a record may leave for analytics, and how it is made to name nobody."""
