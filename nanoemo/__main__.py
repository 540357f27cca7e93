"""`python -m nanoemo` is the command `nanoemo`."""
import sys

from nanoemo.cli import main

sys.exit(main())
