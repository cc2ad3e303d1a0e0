"""Formulas of membranes, wherever they were read, as channels of this project.

A `graph` holds them, `rewriting` makes them safe, a `mechanism` says what they mean, `form` and
`channel_class` make a class of it. No file is read here.
"""
