"""A saved file, folder or stream that answers the same questions as a cluster.

It is read once from beginning to end, and what is found is noted: which objects lie where, of which namespaces. Pods
that are asked for first are handed out in that one pass; whatever is asked later is read again from its place, so that
nothing is held, however large the recording is.
"""

from __future__ import annotations

from kubectl_memdoctor.cluster.recording.recording import Recording, open_recording

__all__ = ["Recording", "open_recording"]
