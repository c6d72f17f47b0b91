"""``lifecycle buildpack``."""
