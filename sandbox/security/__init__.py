"""Who calls and what they may: access tokens of the portal, SMART scopes as data for the search builder."""
