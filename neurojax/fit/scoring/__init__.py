"""How good a simulated cell is: its score, its free runs, and the choice of sweeps."""
