"""``lifecycle build``."""
