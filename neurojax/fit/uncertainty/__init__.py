"""What the data determine: noise, Fisher information, profiles, posteriors, ensembles."""
