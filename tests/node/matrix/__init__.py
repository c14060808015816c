"""Failures made for real on every kind of node, what must be said of each, and what memdoctor says."""
