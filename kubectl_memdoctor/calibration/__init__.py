"""Measures on the cluster's own nodes how small a pod's memory limit may be: what `calibrate` does.

`nodes` chooses where, `search` which limit comes next, `manifests` says what is made, `outcomes` how a try ended, `run`
makes it all and `removal` takes it away again, `page` says it.
"""
