"""The three verbs: simulate a cell, differentiate a run, diagnose what its gradient is worth."""
