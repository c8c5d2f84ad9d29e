"""Speed, measured: each module prints ratios to a baseline of the same run. Not collected by pytest."""
