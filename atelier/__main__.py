"""`python -m atelier` is the `atelier` command."""

from atelier.cli.main import main

if __name__ == "__main__":
    main()
