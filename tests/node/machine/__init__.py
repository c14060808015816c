"""A virtual machine with a kernel and a cgroup version that are not this machine's own."""
