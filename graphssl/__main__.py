"""``python -m graphssl``: the command line."""

from graphssl.cli import main

if __name__ == "__main__":
    main()
