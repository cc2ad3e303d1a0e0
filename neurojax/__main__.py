"""`python -m neurojax` is the command line."""

from neurojax.cli import main

if __name__ == "__main__":
    main()
