"""`python -m multiback.cli`."""

from multiback.cli import main

main()
