"""What a command makes in a cluster for a while and then takes away again, whatever ends it.

`manifests` says by what it is found again, `consent` asks before anything is made, `signals` holds an ending back until
all is removed, and `removal` removes it, and what runs that were killed have left.
"""
