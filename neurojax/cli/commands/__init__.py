"""What a user can type: a file for each command, with its arguments, options and help.

What one command alone needs (matplotlib, HDF5) is imported inside it: 0.3 s less for `--help`. The
work is done by the files of `neurojax/cli/`.
"""
