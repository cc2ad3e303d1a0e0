"""Closed forms: what thermodynamics alone says of ions, pumps and selectivity."""
