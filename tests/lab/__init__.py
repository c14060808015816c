"""The lab: measures how small a pod-level memory limit a sandbox still starts with, per runtime (`make lab`)."""
