"""A page that shows one person's life: problems, drugs, curves, and a timeline of everything that was recorded."""
