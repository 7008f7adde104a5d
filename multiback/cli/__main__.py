"""`python -m multiback.cli`."""

from multiback.cli import main

if __name__ == "__main__":
    main()
