"""Living: the latent physiological state, growth, vaccination, pregnancy and birth, death, and the record of care."""
