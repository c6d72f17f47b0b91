"""``lifecycle cache``."""
