"""Tenant controls: clock, faults, Counterparts, snapshots and timeline of an App's sandbox, from page, API and command."""
