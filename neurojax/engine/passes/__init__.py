"""Passes over a traced step: constants, shared exponentials, values kept, tangents pushed."""
