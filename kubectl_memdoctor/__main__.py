"""`python -m kubectl_memdoctor`."""

from kubectl_memdoctor.cli import run

run()
