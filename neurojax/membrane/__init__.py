"""The membrane: rates, channels, schemes, ions, noise; the compartment; what a rig does to it."""
