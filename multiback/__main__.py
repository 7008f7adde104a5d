"""`python -m multiback`."""

from multiback.cli import main

if __name__ == "__main__":
    main()
