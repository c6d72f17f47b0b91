"""The caches that inputs name besides a phase's own one, and the keys of steps in them."""
