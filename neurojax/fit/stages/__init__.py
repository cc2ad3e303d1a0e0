"""The stages of a fit, one a file: each takes candidates and gives better ones."""
