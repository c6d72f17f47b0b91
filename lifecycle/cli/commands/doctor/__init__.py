"""``lifecycle doctor``."""
