// The memory limit of a pod's cgroup as the kubelets 1.28 to 1.36 set it, where component-helpers itself tells for
// which container a limit is declared: one pod with status.qosClass in JSON a line in; limit in bytes or "-" out.
// https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/kubelet/cm/helpers_linux.go (ResourceConfigForPod)
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var pod v1.Pod
		if err := json.Unmarshal(in.Bytes(), &pod); err != nil {
			panic(err)
		}
		fmt.Fprintln(out, limit(&pod))
	}
	if err := in.Err(); err != nil {
		panic(err)
	}
}

func limit(pod *v1.Pod) string {
	declared := true
	limits := resource.PodLimits(pod, resource.PodResourcesOptions{
		ContainerFn: func(limits v1.ResourceList, _ resource.ContainerType) {
			if limits.Memory().IsZero() {
				declared = false
			}
		},
	})
	if resource.IsPodLevelResourcesSet(pod) && !pod.Spec.Resources.Limits.Memory().IsZero() {
		declared = true
	}
	qos := pod.Status.QOSClass
	set := qos == v1.PodQOSGuaranteed || qos == v1.PodQOSBurstable && declared
	memory := limits[v1.ResourceMemory]
	if !set || memory.Value() == 0 {
		return "-"
	}
	return fmt.Sprint(memory.Value())
}
