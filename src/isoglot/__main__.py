"""`python -m isoglot`: the command."""

from isoglot.cli import main

main()
