"""`python -m csroute.cli` is `csroute`."""

from csroute.cli import main

if __name__ == "__main__":
    main()
