"""Reads a node's kernel log and its runtime's sandboxes by a pod that runs there for a moment: what `--debug-pod` does.

`images` chooses what it runs, `script` says what it prints, `manifests` what is made, `outcomes` how it fares,
`reading` what was printed; `session` makes it, waits, and takes it away again; `question` is how a command has it done.
"""
