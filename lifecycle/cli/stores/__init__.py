"""Where images are: in registries, daemons and files, as inputs and options name them."""
