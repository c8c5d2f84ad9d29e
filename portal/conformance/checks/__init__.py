"""One file per concern; each check judges one Requirement and nothing else."""
