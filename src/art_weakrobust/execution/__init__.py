"""The Maps: how work is cut, run, stored and resumed."""
