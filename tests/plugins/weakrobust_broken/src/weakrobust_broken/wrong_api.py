"""Was written for hooks that do not exist yet."""

ART_WEAKROBUST_API = 99
