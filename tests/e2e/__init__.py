"""The whole job in a real browser against the real processes."""
