"""What was recorded: a trace, the windows of its stimulus, and what one reads off it."""
