"""Make ``python -m art_weakrobust.cli`` the same as ``art-weakrobust``."""

from . import main

main()
