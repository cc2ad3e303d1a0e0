"""`python -m neurojax` is the command line."""

from neurojax.cli.app import main

if __name__ == "__main__":
    main()
