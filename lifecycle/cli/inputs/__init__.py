"""What platforms and people say to a phase: the table of inputs, flags, and the settings that come of them."""
