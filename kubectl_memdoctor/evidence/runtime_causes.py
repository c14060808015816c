"""What words prove: the table that `runtime_errors` reads, most telling first.

A row is a structure of words that a program prints, never a whole text: names, ids, paths and numbers around it do not
matter. The first row that fits decides. The order is: words that only memory explains; words that say the sandbox or
its first process was gone; what was being done when it failed (network, image, mount ...); and last bare error words,
which mean little without any of these.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache

from msgspec import Struct


class Proof(StrEnum):
    """What a text proves alone. The pod's limit is weighed by the rules, not here."""

    MEMORY = "memory"
    """Words that only a memory cause produces."""
    POSSIBLE = "memory-possible"
    """Words that a memory kill takes, and that occur without any memory cause as well."""
    NOT_MEMORY = "not-memory"
    """Words of another cause."""
    UNKNOWN = "unknown"
    """Words that nobody here has understood yet: never taken for memory."""


class Cause(Struct, frozen=True):
    """One row. `because` completes "the text proves that, because ..."."""

    slug: str
    proof: Proof
    because: str
    words: str
    """A pattern, sought where names are left out: a container called "oom-killed" proves nothing."""
    paths: str
    """A pattern, sought in the whole text, for which file it was tells more than what went wrong with it."""

    def fits(self, chain: str, words: str) -> bool:
        return bool(_compiled(self.words).search(words) or _compiled(self.paths).search(chain))


def _cause(slug: str, proof: Proof, because: str, *words: str, paths: tuple[str, ...] = ()) -> Cause:
    return Cause(slug, proof, because, _any(words), _any(paths))


def _any(patterns: tuple[str, ...]) -> str:
    return "|".join(patterns) or r"(?!)"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Only when an error is read that gets so far in the table: most runs read none."""
    return re.compile(pattern, re.IGNORECASE)


_MEMORY = (
    _cause(
        "oom-killed",
        Proof.MEMORY,
        "the runtime read the cgroup's OOM kill counter and found a kill",
        # https://github.com/opencontainers/runc/blob/v1.4.0/libcontainer/process_linux.go (oomError)
        r"container init was OOM-killed",
        r"possibly OOM-killed",
        # https://github.com/containers/crun/blob/1.21/src/libcrun/container.c (cleanup_watch)
        r"\bOOM: the memory limit could be too low",
        # The kernel's own line, and the words of runtimes that nobody has met yet.
        r"\bmemory cgroup out of memory",
        r"(?:^|\s)(?:init|process|container|sandbox|task|shim|vm|vmm|hypervisor|qemu|sentry)(?:\s[^:;]{0,60})?"
        r"\sOOM[- ]?killed(?=[\s:;,.()]|$)",
        r"\bkilled (?:by|due to|because of) (?:the |an? )?(?:kernel'?s? )?(?:OOM|out[- ]of[- ]memory)\b",
        r"\bexceed(?:s|ed|ing) (?:its|the) memory limit\b",
    ),
    _cause(
        "memory-limit-below-runtime-minimum",
        Proof.MEMORY,
        "the runtime itself compares the limit with its own minimum",
        # https://github.com/cri-o/cri-o/blob/v1.31.0/internal/config/cgmgr/cgmgr_linux.go (VerifyMemoryIsEnough)
        r"\bset memory limit \S{1,40} too low",
        r"\bmemory limit\b[^:]{0,60}\btoo (?:low|small)\b[^:]{0,20}\bat least\b",
        # https://github.com/moby/moby/blob/v20.10.0/daemon/daemon_unix.go (verifyPlatformContainerResources)
        r"\bminimum memory limit allowed is\b",
        r"\bmemory limit (?:is )?(?:below|under|less than|smaller than) (?:the )?(?:allowed |required )?minimum\b",
    ),
    _cause(
        "memory-limit-below-usage",
        Proof.MEMORY,
        "the kernel refuses a limit below what the container uses already",
        # https://github.com/opencontainers/cgroups/blob/v0.0.6/fs/memory.go (setMemory: EBUSY), fs2/fs2.go
        r"\bunable to set memory limit to \d",
        r"\brejecting memory(?:\+swap)? limit \d",
        # runc before 1.0.0. https://github.com/torvalds/linux/blob/v4.19/mm/memcontrol.c (mem_cgroup_resize_max); the
        # kmem file answers EBUSY for another reason, tasks that are in the cgroup already (memcg_online_kmem).
        paths=(r"/memory\.(?:memsw\.)?limit_in_bytes\b.{0,400}device or resource busy",),
    ),
)

LOW_LIMIT = _cause(
    "memory-limit-too-low",
    Proof.MEMORY,
    "crun saw a limit under 1 MiB and no other cause",
    r"\bthe memory limit could be too low\b",
)
"""crun adds these words to whatever went wrong under such a limit, so a cause behind them goes first."""

_GONE = (
    _cause(
        "sandbox-gone",
        Proof.POSSIBLE,
        "the sandbox's process was gone when its network or namespaces were wanted; a memory kill leaves this, "
        "and so does any other death of it",
        # https://github.com/kubernetes/kubernetes/blob/v1.23.0/pkg/kubelet/dockershim/docker_service.go (GetNetNS)
        r"\bterminated container\b",
        r"\bnon[- ]running container\b",
        r"\bnetwork namespace path\b",
        r"\bsandbox container \S{0,200} ?is not running\b",
        # https://github.com/containerd/containerd/blob/v2.2.0/core/runtime/v2/shim_manager.go (startShim)
        r"\bfind shim for sandbox\b",
        r"\bload sandbox task\b",
        r"\bcannot join network of a non running\b",
        r"\bcontainer \S{0,200} is not running\b",
        r"\bsandbox (?:container )?\S{0,200} ?(?:exited|stopped|terminated|died)\b",
        paths=(
            # /proc/<pid>/ns lives as long as the process. https://github.com/containernetworking/plugins/blob/v1.5.0/pkg/ns/ns_linux.go
            r"/proc/\d{1,12}/(?:task/\d{1,12}/)?ns/.{0,200}(?:no such (?:file|process)|not exist|unknown FS magic)",
            r"\b(?:invalid|no) (?:namespace path|netns)\b.{0,100}/proc/\d",
        ),
    ),
)

_CGROUP = (
    _cause(
        "cgroups-exhausted",
        Proof.NOT_MEMORY,
        "the kernel has no memory cgroup left to give, mostly because old kernels leak them; the pod's limit is set "
        "only after this step",
        # The pod's own cgroup: https://github.com/kubernetes/kubernetes/issues/96701 (a BestEffort pod), issue 61937
        r"\bunable to ensure pod container exists\b",
        paths=(
            r"mkdir \S{1,400}/(?:\S{0,100}-)?pod[0-9a-f_-]{32,40}(?:\.slice)?: (?:no space|cannot allocate memory)",
            r"(?:mkdir |creating cgroup directory |create )\S{0,400}/cgroup/\S{1,600}: no space left on device",
        ),
    ),
    _cause(
        "cgroup-no-memory",
        Proof.POSSIBLE,
        "the kernel had no memory for the container's cgroup: a pod limit under one page does this, "
        "and so do leaked cgroups on old kernels",
        # With a pod limit of 0 pages: seen with runc 1.1.5 and 1.4.0 on cgroup v1 and v2, crun on both.
        # Without any limit: https://github.com/docker/for-linux/issues/841
        r"\bunable to apply cgroup configuration: .{0,200}cannot allocate memory",
        paths=(r"/(?:cgroup|kubepods)[/.]\S{0,600}[^:]{0,20}: cannot allocate memory",),
    ),
    _cause(
        "cgroup-missing",
        Proof.POSSIBLE,
        "crun says so when the cgroup could not be made, which a pod limit under one page causes, "
        "but also a wrong cgroup set-up",
        r"\bcreating cgroup directory ``.{0,40}no such file or directory",
        paths=(r"`[^`]{0,400}/(?:kubepods|cgroup)[/.][^`]{0,400}`.{0,40}no such (?:file|process)",),
    ),
)

_EXHAUSTED = (
    _cause(
        "pids",
        Proof.NOT_MEMORY,
        "processes or threads ran out, not memory",
        r"\bresource temporarily unavailable\b|\bpthread_create failed\b|\bnewosproc\b|\bpids? limit\b",
        r"\bpids\.max\b|\btoo many processes\b",
    ),
    _cause(
        "open-files",
        Proof.NOT_MEMORY,
        "open files or inotify watches ran out",
        r"\btoo many open files\b|\binotify\b|\bfile table overflow\b|\brlimit\b",
    ),
)

_INIT_SAID = (
    _cause(
        "permission",
        Proof.NOT_MEMORY,
        "something was not permitted",
        # What init itself printed before it gave up; a killed one prints nothing.
        # https://github.com/opencontainers/runc/blob/v1.4.0/libcontainer/container_linux.go (start)
        r"\brunc init error\(s\): .{0,400}\b(?:permission denied|operation not permitted)\b",
    ),
    _cause(
        "kernel",
        Proof.NOT_MEMORY,
        "the node's kernel lacks something or refuses it",
        r"\brunc init error\(s\): .{0,400}\b(?:no space left on device|invalid argument|function not implemented)\b",
    ),
)

_INIT_DIED = (
    _cause(
        "init-died",
        Proof.POSSIBLE,
        "the runtime's own first process in the sandbox died without a word; a memory kill looks like this, "
        "but so do missing kernel features, user namespace limits and exhausted pids",
        # https://github.com/opencontainers/runc/blob/v1.1.12/libcontainer/process_linux.go and nsenter/nsexec.c
        r"\b(?:read|write) init-[pc]\b",
        r"\bfinal child'?s pid from pipe",
        r"\bbootstrap data to pipe",
        r"\bsetns process for init\b",
        r"\bsending config to init process\b",
        r"\breading pid from init pipe\b",
        r"\bfirst child to exit\b",
        r"\bprocReady not received\b",
        r"\bparent closed synchroni[sz]ation channel\b",
        r"\bsync(?:hroni[sz]ation)? (?:ready|socket|value|pipe)\b.{0,100}"
        r"(?:EOF|reset|broken pipe|end of file|bad file)",
        r"\bcontainer init(?: exited prematurely| caused:? ?\W*$)",
        r"\bwaiting for init preliminary setup\b.{0,60}(?:EOF|reset|short read|broken)",
        r"\b(?:unable to start|starting) container process(?: caused)?:? (?:EOF|signal: (?:killed|broken pipe))$",
        # https://github.com/containers/crun/blob/1.21/src/libcrun/container.c
        r"\b(?:read|write|wait) (?:from|to|for) (?:the )?(?:init process|sync socket|container process)",
        r"\bfailed to (?:read|receive|send)\b[^:]{0,60}\binit process\b",
        # https://github.com/google/gvisor/blob/release-20240930.0/runsc/sandbox/sandbox.go
        r"\bwaiting for (?:the )?(?:sandbox|gofer) to (?:start|boot)",
        r"\bcannot read client sync file\b",
        r"\burpc method .{0,100}(?:EOF|connection reset|closed)",
        # youki: https://github.com/youki-dev/youki/blob/v0.4.0/crates/libcontainer/src/process/channel.rs
        r"\b(?:intermediate|init) process\b[^:]{0,60}(?:exited|died|closed|failed to (?:become )?ready)",
        r"\bchannel connection broken\b",
    ),
    _cause(
        "init-stuck",
        Proof.POSSIBLE,
        "the sandbox's first process hangs in the kernel; a memory limit does this, and so does a slow disk",
        # https://github.com/opencontainers/cgroups/blob/v0.0.6/fs/freezer.go (Set)
        r"\bunable to freeze\b",
    ),
    _cause(
        "died-before-start",
        Proof.POSSIBLE,
        "the process had ended between creation and start; a memory kill does that, and so does any early exit",
        # https://github.com/containerd/containerd/blob/v2.2.0/cmd/containerd-shim-runc-v2/process/init_state.go
        r"\bcannot start a (?:stopped|deleted) (?:process|container)",
        r"\bcannot start a container that has stopped\b",
        r"\bprocess (?:is )?already (?:finished|dead)",
        r"\bcontainer process is already dead\b",
        r"\bno running task found\b",
        r"\bcontainer not running\b",
        r"\bstatus is stopped and is expected\b",
        r"\bstatus is \"?stopped",
        r"\bexited before .{0,40}start",
        # CRI-O reads the pid from conmon: internal/oci/runtime_oci.go
        r"\bprobably exited\b",
    ),
    _cause(
        "vm-did-not-start",
        Proof.POSSIBLE,
        "the sandbox's virtual machine did not come up; its monitor may have been killed for memory, "
        "or anything else was wrong with it",
        # https://github.com/kata-containers/kata-containers/blob/3.10.0/src/runtime/virtcontainers/kata_agent.go
        r"\bcheck if grpc server is working\b",
        r"\bagent (?:service )?(?:did|is|was) not (?:start|ready|respond|running)",
        r"\b(?:connect|connecting|connection|dial)(?:ing)?\b[^:]{0,40}\bv?sock\b.{0,60}"
        r"(?:timed? ?out|reset|refused|closed)",
        r"\bcannot set up guest memory\b",
        r"\b(?:qemu|hypervisor|firecracker|cloud-hypervisor|vmm|virtiofsd)\b.{0,200}"
        r"(?:signal: killed|exited|terminated|cannot allocate memory|EOF)",
        r"\bQMP\b.{0,100}(?:EOF|closed|exited|timed? ?out)",
        r"\bfailed to (?:launch|start|boot) (?:the )?(?:qemu|hypervisor|firecracker|cloud-hypervisor|vmm?)\b",
    ),
)

_NETWORK = (
    _cause(
        "network",
        Proof.NOT_MEMORY,
        "setting up the pod's network failed; network plugins run outside the pod's memory limit",
        r"\bset(?:ting)? ?up (?:the )?(?:pod )?network\b",
        r"\bset(?:ting)? ?up (?:pod|sandbox)\b[^:]{0,200}\bnetwork\b",
        r"\bnetwork for (?:pod|sandbox)\b",
        r"\bpod network sandbox\b",
        r"\bnetwork namespace for sandbox\b",
        r"\bnetwork ?plugin\b",
        r"\bnetplugin\b",
        r"\bplugin type=",
        r"\bfailed \((?:add|delete|check)\)",
        r"\bcni\b",
        r"\bcni(?:version|config|network|plugin)",
        r"\bcmdadd\b",
        r"\bmultus\b",
        r"\b(?:calico|cilium|flannel|weave(?:-net)?|antrea|ovn|ovn-kubernetes|kube-router|aws-cni|azure-vnet|contiv)\b",
        r"\bfailed to (?:allocate|assign|acquire|request)\b[^:]{0,60}\b(?:IP|address)(?:es)?\b",
        r"\bno (?:available )?(?:IP|addresses|IP addresses)\b[^:]{0,60}\bavailable\b",
        r"\bhost ?port\b[^:]{0,80}\b(?:allocated|in use|conflict)",
        r"\bport is already allocated\b",
        r"\bbind(?: for \S{1,80})?(?: failed)?: (?:port is already|address already in use)",
        r"\bveth\b|\biptables\b|\bnftables\b|\bipam\b",
        r"\bfailed to (?:create|open|get) (?:network namespace|netns)\b",
        r"\bno netns\b|\bfailed to statfs\b",
    ),
)

_IMAGE = (
    _cause(
        "image",
        Proof.NOT_MEMORY,
        "an image could not be had",
        r"\b(?:get|pull|pulling|inspect|inspecting|locate|resolve|unpack|unpacking|prepare|find) (?:the )?"
        r"(?:sandbox |pause |infra )?(?:container )?image\b",
        r"\bsandbox image\b|\bpause image\b|\binfra image\b",
        r"\berrimage\w{1,30}|\bimagepull\w{1,30}",
        r"\bfailed to resolve reference\b",
        r"\bpull access denied\b|\bmanifest unknown\b|\bmanifest for \S{0,300} ?not found",
        r"\bno such image\b|\bimage \S{0,300} ?(?:not found|not known|does not exist)",
        r"\bfailed to (?:extract|unpack|register) layer\b",
        # https://github.com/containers/image/blob/v5.30.0/copy/copy.go
        r"\binitializing source\b|\bpinging container registry\b|\breading (?:manifest|blob)\b",
        r"\bcreat(?:e|ing) (?:an )?image volume|\bmount(?:ing)? image volume\b",
        r"\btoomanyrequests\b",
        r"\bno command specified\b|\binvalid empty entrypoint\b|\bno entrypoint\b",
    ),
    _cause(
        "storage",
        Proof.NOT_MEMORY,
        "the runtime's image store or snapshot failed",
        r"\bsnapshot(?:ter|s)?\b",
        r"\boverlayfs?\b|\boverlay2\b|\bdevmapper\b|\bdevicemapper\b|\bthin pool\b|\bstorage driver\b",
        r"\blayer not known\b|\blayers?\b[^:]{0,60}\b(?:missing|corrupt|not found|does not exist)",
        r"\bparent snapshot\b|\blocking storage\b",
        r"\b(?:lease|content digest)\b[^:]{0,80}\bnot found\b",
    ),
)

_PROGRAM = r"(?:runc|crun|runsc|youki|conmon|kata-runtime|nvidia-container-runtime|containerd-shim[\w-]{0,40})"

_RUNTIME = (
    _cause(
        "runtime-handler",
        Proof.NOT_MEMORY,
        "the runtime that the pod asks for is not there, not configured on the node, or cannot be run",
        # https://github.com/containerd/containerd/blob/v2.2.0/internal/cri/config/config.go (GetSandboxRuntime)
        r"\bno (?:corresponding )?runtime\b[^:]{0,80}\bconfigured\b",
        r"\bruntime ?handler\b",
        r"\bget (?:the )?(?:OCI |sandbox )?runtime (?:for|from)\b",
        r"\bfailed to (?:get|find|resolve) (?:sandbox |OCI )?runtime\b",
        r"\bunknown (?:or invalid )?runtime\b|\binvalid runtime (?:name|type)\b|\bno runtime name\b",
        r"\bruntime \S{0,200} ?(?:binary )?not (?:installed|found|supported)",
        r"\bRuntimeClass\b",
        r"\bcontainerd-shim-\S{1,100}\b[^:]{0,40}(?:not found|no such file|executable file)",
        r"\bbinary not installed\b|\berror while loading shared libraries\b",
        paths=(
            rf"fork/exec \S{{0,300}}\b{_PROGRAM}: (?:no such file|permission denied|exec format|text file busy)",
            rf"\bexec: \"(?:\S{{0,300}}/)?{_PROGRAM}\": (?:executable file|no such file|stat |permission denied)",
            rf"\b{_PROGRAM}: symbol lookup error",
        ),
    ),
    _cause(
        "name-reserved",
        Proof.NOT_MEMORY,
        "an earlier attempt still holds the name",
        r"\breserv(?:e|ed|ing)\b[^:]{0,300}\bname\b|\b(?:is|already) reserved\b",
        r"\balready exists\b|\bcontainer with (?:given )?id exists\b",
        r"\b(?:container|name|id)\b[^:]{0,300}\balready in use\b",
    ),
)

_NO_MEMORY = (
    _cause(
        "hook-killed",
        Proof.POSSIBLE,
        "a hook's process was killed; memory is one reason of several",
        r"\bhook\b.{0,400}signal: killed",
        r"\bldconfig\b.{0,100}(?:signal 9|killed)",
        r"\bterminated with signal 9\b",
    ),
    _cause(
        "node-out-of-memory",
        Proof.POSSIBLE,
        "memory could not be had for a new process; the pod's limit is one reason, a full node another",
        r"\bcannot allocate memory\b|\bnot enough memory\b|\bout of memory\b|\bENOMEM\b",
        r"(?<![\w.-])OOM[- ]?kill(?:ed|er)?(?![\w-])",
    ),
    _cause(
        "killed",
        Proof.POSSIBLE,
        "a process was killed by signal 9, and nothing says by whom",
        r"\bsignal: killed\b|\bsignal 9\b|\bSIGKILL\b|\bexit(?:ed)?(?: status| code)?[: ]+137\b|^killed$",
    ),
)
"""Inside the sandbox's cgroup any step may be the one that finds no memory or is killed."""

_SETUP = (
    _cause(
        "hook",
        Proof.NOT_MEMORY,
        "a hook of the runtime failed",
        r"\b(?:running|executing|run) \S{0,60} ?hooks?\b|\bhook #\d",
        r"\bprestart hook\b|\bpost-?start\b[^:]{0,40}\bhook\b|\bcreateRuntime\b|\bcreateContainer hook\b|\bNRI\b",
        r"\bnvidia-container-(?:cli|runtime)\b|\blibnvidia\b",
    ),
    _cause(
        "seccomp",
        Proof.NOT_MEMORY,
        "a seccomp profile is missing or was refused",
        r"\bseccomp\b",
    ),
    _cause(
        "apparmor",
        Proof.NOT_MEMORY,
        "an AppArmor profile is missing or was refused",
        r"\bapparmor\b",
    ),
    _cause(
        "selinux",
        Proof.NOT_MEMORY,
        "SELinux refused, or its label could not be set",
        r"\bSELinux\b|\bmount label\b|\bprocess label\b|\brelabel\b",
        paths=(r"/attr/(?:exec|keycreate)\b",),
    ),
    _cause(
        "user-namespace",
        Proof.NOT_MEMORY,
        "user namespaces do not work on this node",
        r"\buser(?:[ _-])?namespaces?\b|\bidmap(?:ped)?\b|\bmax_user_namespaces\b|\bsubuid\b",
        r"\bCLONE_NEWUSER\b|\bnewuidmap\b|\bnewgidmap\b|\bcannot be mapped to a host ID\b",
        paths=(r"/[ug]id_map\b|/max_user_namespaces\b",),
    ),
    _cause(
        "sysctl",
        Proof.NOT_MEMORY,
        "a sysctl was refused",
        r"\bsysctls?\b",
        paths=(r"(?:open |write |`)/proc/sys/",),
    ),
    _cause(
        "exec-format",
        Proof.NOT_MEMORY,
        "the program is built for another processor, or is no program",
        r"\bexec format error\b|\bno such device or address: exec\b",
    ),
    _cause(
        "exec-not-found",
        Proof.NOT_MEMORY,
        "the container's command does not exist in its image",
        r"\bexecutable file\b[^:]{0,80}\bnot found\b",
        r"\bexec:? \"\"?: (?:stat|no such file|is a directory|not found)",
        r"\bexec(?:v|ve|vp)?\b[^:]{0,200}: (?:stat[^:]{0,200}: )?(?:no such file or directory|is a directory)",
        r"\bexec user process(?: caused)?:? ?no such file",
        r"\bcannot find (?:the )?(?:command|executable|entrypoint)\b|\bfailed to find executable\b",
    ),
    _cause(
        "exec-permission",
        Proof.NOT_MEMORY,
        "the container's command may not be executed",
        r"\bexec(?:v|ve|vp)?:? (?:user process|container process|\"\"|``|\S{0,200})(?: caused)?:? ?"
        r"(?:stat[^:]{0,200}: )?permission denied",
        r"\bopen executable\b.{0,100}permission denied",
    ),
    _cause(
        "working-directory",
        Proof.NOT_MEMORY,
        "the container's working directory cannot be used",
        r"\bchdir\b|\bworking directory\b|\bmkdir cwd\b|\bchange directory\b|\bcwd\b",
    ),
    _cause(
        "user",
        Proof.NOT_MEMORY,
        "the container's user or group cannot be used",
        r"\bunable to find (?:user|group)\b|\bno matching entries in (?:passwd|group) file\b",
        r"\bset(?:ting)?[ug]id\b|\bset(?:ting)?groups\b|\bsetup user\b|\bgenerate user string\b",
        r"\brunAsNonRoot\b|\bunable to convert uid\b|\bno users found\b",
    ),
    _cause(
        "capabilities",
        Proof.NOT_MEMORY,
        "a capability could not be given",
        r"\bapply(?:ing)? caps\b|\bapply bounding set\b|\bcapabilit(?:y|ies)\b|\bCAP_[A-Z_]{2,30}\b",
    ),
    _cause(
        "mount",
        Proof.NOT_MEMORY,
        "a mount failed",
        r"\bmounting\b|\bmount(?:ing)? (?:\"\"|``|'')|\bmount \S{0,300} to \b|\brootfs\b|\bpivot_root\b",
        r"\bmountpoints?\b",
        r"\bmount(?:ed)? (?:sandbox )?(?:shm|source|propagation|point|destination|failed|through|option|tmpfs|proc)\b",
        r"\bmount:|\bfailed to mount\b|\bmount `|\bmount container\b|\bremount\b|\bshared (?:or slave )?mount\b",
        r"\bbind source path\b",
        r"\bcreate mount\b",
        r"\bmaked?ev\b|\bmknod\b|\bdevice nodes?\b|\bgather(?:ing)? device information\b|\bis not a device node\b",
        r"\bopenat2? (?:``|/)|\bcreating ``",
        r"\bsubpath\b|\bfailed to (?:stat|mkdir|create) (?:host ?path|volume)\b|\bhostpath\b",
        r"\bgenerate (?:container )?mounts?\b|\bsymlink dev\b|\bmask(?:ed|ing)? paths?\b|\breadonly paths?\b",
    ),
    _cause(
        "rdt",
        Proof.NOT_MEMORY,
        "the cache and block-device classes of the node could not be applied",
        r"\bIntel RDT\b|\bresctrl\b|\bblockio class\b|\bRDT class\b",
    ),
    _cause(
        "huge-pages",
        Proof.NOT_MEMORY,
        "huge pages are not there; the memory limit does not count them",
        r"\bhugetlb\b|\bhuge ?pages?\b",
        paths=(r"/hugetlb[./]|/dev/hugepages\b",),
    ),
    _cause(
        "systemd",
        Proof.NOT_MEMORY,
        "systemd did not make the cgroup",
        r"\bdbus\b|\bD-Bus\b|\bsd-bus\b|\bsystemd\b|\btransient unit\b",
        r"\bunit \S{0,300} ?(?:already exists|was already loaded|failed)",
        r"\bcgroup ?driver\b|\bslice as parent\b|\binvalid slice\b|\bcgroupsPath\b|\bcgroup manager\b",
    ),
    _cause(
        "kernel",
        Proof.NOT_MEMORY,
        "the node's kernel lacks something or refuses it",
        r"\bfunction not implemented\b|\bno such device\b|\bmodule \S{1,60} not found\b|\bprotocol not supported\b",
        r"\bkernel (?:module|version|does not|is too old|parameter)\b|\bKVM\b|\bvhost\b",
        r"\bnot supported by (?:the )?kernel\b",
        r"\bkeyring\b|\bsession key\b|\bkey quota\b|\bunshare\b",
    ),
    _cause(
        "disk-full",
        Proof.NOT_MEMORY,
        "the node's disk, or its quota, is full",
        r"\bno space left on device\b|\bdisk quota exceeded\b",
    ),
    _cause(
        "cgroup",
        Proof.NOT_MEMORY,
        "the cgroup could not be set up as asked for; no memory is named",
        r"\bcgroups?\b|\bno subsystem for mount\b|\beBPF\b|\bbpf_prog\w{0,20}\b|\bdevice (?:cgroup|filter)\b",
        r"\b(?:cpu|cpuset|devices|memory|pids|blkio|io)\.[a-z_]{2,30}\b",
        paths=(r"/cgroup/|['`\"](?:cpu|cpuset|devices|memory|pids|blkio|io)\.[a-z_.]{2,40}['`\"]",),
    ),
)

_SERVICE = (
    _cause(
        "shim-died",
        Proof.POSSIBLE,
        "the sandbox's shim went away; a memory kill is one reason of several",
        # https://github.com/containerd/ttrpc/blob/v1.2.5/errors.go (ErrClosed)
        r"\bttrpc: closed\b|\btask\b.{0,60}: transport is closing\b",
        r"\bshim\b[^:]{0,60}\b(?:exited|disconnected|dead|died|gone)\b",
    ),
    _cause(
        "deadline",
        Proof.NOT_MEMORY,
        "it took too long: a kill for memory answers at once",
        r"\bdeadline ?exceeded\b|\btimed? ?out\b|\btimeout\b|\bcontext (?:was )?cancell?ed\b|\bRST_STREAM\b",
    ),
    _cause(
        "runtime-unavailable",
        Proof.NOT_MEMORY,
        "the container runtime's service could not be reached",
        r"\b(?:dial|connect to|connection to)\b[^:]{0,80}\b(?:unix|docker|containerd|crio|cri-o|daemon|socket)\b",
        r"\bcannot connect to the docker daemon\b|\bdocker daemon\b|\btransport is closing\b",
        r"\bserver is shutting down\b",
        r"\bruntime (?:service|is) (?:not ready|down|unavailable)\b|\bunknown service runtime\b|\bserver misbehaving\b",
        r"\berror reading from server: EOF\b|\berror while dialing\b|\bclient connection is closing\b",
        r"\bshutdown in progress\b",
    ),
    _cause(
        "sandbox-store",
        Proof.NOT_MEMORY,
        "the runtime's own records are out of step",
        r"\bin (?:the )?(?:sandbox |container )?(?:store|index)\b|\bkey is already used\b",
        r"\bsandbox \S{0,200} ?not found\b",
        r"\bno such (?:container|sandbox|task)\b",
        r"\b(?:container|sandbox|task|bundle)\b[^:]{0,200}\b(?:not found|does not exist)\b",
        r"\bobject is being deleted\b|\bpod (?:was|is being|has been) (?:deleted|removed)\b",
        r"\bnamespace\b[^:]{0,60}\bterminating\b",
    ),
    _cause(
        "configuration",
        Proof.NOT_MEMORY,
        "the pod's or node's configuration was refused",
        r"\b(?:secret|configmap)s? \S{0,300} ?not found\b|\bcouldn'?t find key\b",
        r"\bis forbidden\b|\bnot allowed\b|\bunauthori[sz]ed\b|\bunsupported\b|\bnot supported\b|\bnot implemented\b",
        r"\binvalid (?:\w{1,30} )?(?:configuration|config|spec|argument|value|option|name|reference|format)\b",
        r"\binvalid character\b",
        r"\bmust be (?:set|specified|a|an|in|one|at)\b|\bcannot unmarshal\b",
        r"\bunexpected (?:end of JSON|token|character)\b",
        # An ociVersion newer than crun knows: https://github.com/containers/crun/blob/1.8.1/src/libcrun/container.c
        r"\bunknown version specified\b",
        r"\bCDI devices?\b|\bunresolvable CDI\b",
        r"\bdns config\b|\bDNSConfig\b|\bhostname\b",
        paths=(r"/resolv\.conf\b",),
    ),
    _cause(
        "runtime-died",
        Proof.POSSIBLE,
        "the runtime ended without saying why; memory is one reason of several",
        r"\bdid not terminate succ?essfully\b",
        r"\bunable to retrieve OCI runtime error\b|\bno logs from conmon\b",
        r"\bsignal: (?:broken pipe|bus error|segmentation fault|aborted|terminated)\b",
        r"(?:^|: )(?:unexpected )?EOF$|\bend of file\b",
        r"\bbroken pipe\b",
        r"\bconnection reset by peer\b",
        r"\bbus error\b",
    ),
    _cause(
        "permission",
        Proof.NOT_MEMORY,
        "something was not permitted",
        r"\bpermission denied\b|\boperation not permitted\b|\baccess denied\b|\bEACCES\b|\bEPERM\b",
        r"\bread-only file system\b",
    ),
    _cause(
        "input-output",
        Proof.NOT_MEMORY,
        "a disk or connection failed",
        r"\binput/output error\b|\bstale (?:NFS )?file handle\b|\bI/O error\b|\bconnection refused\b",
        r"\bno route to host\b",
        r"\btls:|\bx509:|\bcertificate\b|\bno such host\b|\btransport endpoint is not connected\b",
        r"\bnetwork is unreachable\b",
    ),
)

CAUSES: tuple[Cause, ...] = (
    *_MEMORY,
    *_GONE,
    *_NETWORK,
    *_CGROUP,
    *_EXHAUSTED,
    *_INIT_SAID,
    *_INIT_DIED,
    *_RUNTIME,
    *_IMAGE,
    *_NO_MEMORY,
    *_SETUP,
    *_SERVICE,
)

UNKNOWN = _cause("unknown", Proof.UNKNOWN, "nothing in it is known to come from memory or from anything else")


def find_cause(chain: str, words: str) -> Cause:
    """The row that fits an error: all its layers on one line, as they are and without names. UNKNOWN when none fits."""
    found = next((cause for cause in CAUSES if cause.fits(chain, words)), UNKNOWN)
    if found.proof in (Proof.POSSIBLE, Proof.UNKNOWN) and LOW_LIMIT.fits(chain, words):
        return LOW_LIMIT
    return found
