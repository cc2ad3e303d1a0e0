"""Many cells fitted at once, which share parameters or are drawn from one population."""
