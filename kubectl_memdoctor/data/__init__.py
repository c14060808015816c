"""Measured figures and recordings that ship with the program."""
