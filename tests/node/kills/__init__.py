"""Kills made on a real node, what its own logs say of them, and whether memdoctor joins each to its pod."""
