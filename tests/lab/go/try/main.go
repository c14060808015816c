// Starts pod sandboxes below a memory limit, one after the other, the way the kubelet asks a container runtime for them,
// and prints one JSON object for each try: {"started": true, "peakBytes": 4096, "error": ""}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	cgroups   = "/sys/fs/cgroup"
	parent    = "memdoctor-lab"
	namespace = "memdoctor-lab"
	// The kubelet's own runtimeRequestTimeout is two minutes; a virtual machine in software is slower than a node.
	deadline = 10 * time.Minute
)

type try struct {
	Started   bool   `json:"started"`
	PeakBytes int64  `json:"peakBytes"`
	Error     string `json:"error"`
}

func main() {
	socket := flag.String("socket", "/run/containerd/containerd.sock", "")
	handler := flag.String("handler", "", "the runtime handler; empty for containerd's default")
	limit := flag.Int64("limit", 0, "the pod's memory limit in bytes; 0 for none")
	tries := flag.Int("tries", 1, "")
	until := flag.String("until", "", "end with the first try that `started` or failed, before all tries are made")
	settle := flag.Duration("settle", 500*time.Millisecond, "how long a sandbox must stay ready to count as started")
	flag.Parse()
	if err := run(*socket, *handler, *limit, *tries, *until, *settle); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(socket, handler string, limit int64, tries int, until string, settle time.Duration) error {
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	runtime := cri.NewRuntimeServiceClient(connection)
	if err := removeAll(runtime); err != nil {
		return err
	}
	for number := 0; number < tries; number++ {
		made, err := once(runtime, handler, limit, settle)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(made); err != nil {
			return err
		}
		if until == "started" && made.Started || until == "failed" && !made.Started {
			return nil
		}
	}
	return nil
}

// once returns an error only when the try says nothing about the limit.
func once(runtime cri.RuntimeServiceClient, handler string, limit int64, settle time.Duration) (made try, err error) {
	uid := fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	pod, err := makeCgroup("pod"+uid, limit)
	if err != nil {
		return try{}, err
	}
	defer func() { err = errors.Join(err, removeCgroup(pod)) }()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	answer, failure := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config(uid, pod), RuntimeHandler: handler})
	if failure == nil {
		time.Sleep(settle)
		var current *cri.PodSandboxStatusResponse
		if current, err = runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: answer.PodSandboxId}); err != nil {
			return try{}, err
		}
		made.Started = current.Status.State == cri.PodSandboxState_SANDBOX_READY
		if !made.Started {
			made.Error = fmt.Sprintf("the sandbox was no longer ready after %s", settle)
		}
	} else if made.Error = status.Convert(failure).Message(); isDeadline(failure) {
		return try{}, fmt.Errorf("handler %s, limit %d: %s", handler, limit, made.Error)
	}
	made.PeakBytes = peak(pod)
	return made, removeAll(runtime)
}

func isDeadline(failure error) bool {
	return status.Code(failure) == codes.DeadlineExceeded || status.Code(failure) == codes.Unavailable
}

// config is what the kubelet asks for, for a pod without anything special:
// https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_sandbox.go
func config(uid, pod string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: "try", Namespace: namespace, Uid: uid},
		Hostname:     "try",
		LogDirectory: filepath.Join(os.TempDir(), "memdoctor-lab-logs"),
		DnsConfig:    &cri.DNSConfig{},
		Labels:       map[string]string{"io.kubernetes.pod.namespace": namespace},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: "/" + pod,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{
					Network: cri.NamespaceMode_POD, Ipc: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER,
				},
				Seccomp: &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault},
			},
		},
	}
}

// removeAll removes every sandbox of this program, those of a run that was stopped as well.
func removeAll(runtime cri.RuntimeServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	listed, err := runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	for _, sandbox := range listed.Items {
		if sandbox.Metadata.Namespace != namespace {
			continue
		}
		if _, err := runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: sandbox.Id}); err != nil {
			return err
		}
		if _, err := runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: sandbox.Id}); err != nil {
			return err
		}
	}
	return nil
}

func isV2() bool {
	_, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers"))
	return err == nil
}

// makeCgroup makes a pod's cgroup and sets its limit as the kubelet does; it returns the path below the hierarchy.
func makeCgroup(name string, limit int64) (string, error) {
	pod := filepath.Join(parent, name)
	if !isV2() {
		folder := filepath.Join(cgroups, "memory", pod)
		if err := os.MkdirAll(folder, 0o755); err != nil || limit == 0 {
			return pod, err
		}
		return pod, os.WriteFile(filepath.Join(folder, "memory.limit_in_bytes"), []byte(strconv.FormatInt(limit, 10)), 0o644)
	}
	if err := os.MkdirAll(filepath.Join(cgroups, pod), 0o755); err != nil {
		return pod, err
	}
	// The pod's own cgroup.subtree_control is for the runtime to write.
	for _, folder := range []string{cgroups, filepath.Join(cgroups, parent)} {
		controllers, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
		if err != nil {
			return pod, err
		}
		for _, controller := range strings.Fields(string(controllers)) {
			if err := os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
				return pod, err
			}
		}
	}
	if limit == 0 {
		return pod, nil
	}
	return pod, os.WriteFile(filepath.Join(cgroups, pod, "memory.max"), []byte(strconv.FormatInt(limit, 10)), 0o644)
}

// peak is the most that the pod used, in bytes; 0 where the kernel does not say (cgroup v2 before 5.19).
func peak(pod string) int64 {
	file := filepath.Join(cgroups, "memory", pod, "memory.max_usage_in_bytes")
	if isV2() {
		file = filepath.Join(cgroups, pod, "memory.peak")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	bytes, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return bytes
}

// removeCgroup removes a pod's cgroup from every hierarchy; what still runs in it gets some seconds to end.
func removeCgroup(pod string) error {
	folders, err := filepath.Glob(filepath.Join(cgroups, "*", pod))
	if err != nil {
		return err
	}
	if isV2() {
		folders = []string{filepath.Join(cgroups, pod)}
	}
	for _, folder := range folders {
		for attempt := 0; ; attempt++ {
			err := removeTree(folder)
			if err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			if attempt == 100 {
				return err
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

func removeTree(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(folder)
}
