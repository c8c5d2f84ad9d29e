"""Proof by the App's own traffic: Requirements as data, checks over recorded calls, scenario runs, signed Evidence."""
