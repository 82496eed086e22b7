"""`python -m tocsin.cli`: the same as `tocsin`."""

from tocsin.cli.app import main

main()
