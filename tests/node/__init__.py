"""A real node: kubelet, containerd, runc and crun, natively and in a virtual machine."""
