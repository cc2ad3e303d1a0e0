"""Closed forms: ions and pumps at rest, selectivity, cables, a scheme at a held potential."""
