"""kubectl-memdoctor: says why memory keeps a pod from starting, or kills it."""

__version__ = "0.1.0"
