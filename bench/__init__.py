"""Figures, side by side with the floor and with kubectl: `make bench`."""
