"""Real parts for tests: servers and programs as users have them, started on loopback."""
