"""``lifecycle diff`` and ``lifecycle verify``."""
