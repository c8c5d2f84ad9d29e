"""What Apps consumed: quota state, the append-only ledger, hourly and daily sums."""
