"""The voltage-clamp rig: the amplifier, protocols, what a run under them gives, and its curves."""
