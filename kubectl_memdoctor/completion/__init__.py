"""What a shell offers at the TAB key: kubectl asks for it, with the words of the line.

`words` says what may stand there, by the flags and commands alone; `names` asks for what only a cluster or a
kubeconfig knows; `protocol` is how kubectl wants it told; `script` is by what kubectl finds it.
"""

COMPLETE = "__complete"
"""The hidden command that a shell's TAB key runs, by way of kubectl."""
