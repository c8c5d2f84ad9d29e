"""What the exchange offers: Products, their Scopes, and Plans with a price, a RateLimit and a Quota."""
