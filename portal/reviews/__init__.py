"""Promotion: requests for production, decisions, ramps, re-verification, suspension, the public register."""
