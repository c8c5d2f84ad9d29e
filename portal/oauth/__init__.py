"""The authorization server: SMART App Launch 2.2 over OAuth 2.1, one issuer for each Environment."""
