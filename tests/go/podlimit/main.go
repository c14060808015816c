// The memory limit of a pod's cgroup as the kubelet 1.37 sets it: one pod in JSON a line in; limit in bytes or "-",
// request in bytes and QoS class out. Sums are component-helpers' own. What stands in k8s.io/kubernetes, which cannot
// be imported without its whole tree, follows it line by line:
// https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/cm/helpers_linux.go (ResourceConfigForPod)
// https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/v1/helper/qos/qos.go (ComputePodQOS)
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"

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
		// First, since PodRequests adds the overhead to the pod's own quantities where they are big decimals.
		qos := qosClass(&pod)
		request := resource.PodRequests(&pod, resource.PodResourcesOptions{})[v1.ResourceMemory]
		fmt.Fprintln(out, limit(&pod, qos), request.Value(), qos)
	}
	if err := in.Err(); err != nil {
		panic(err)
	}
}

// limit gives "-" for 0 as well: runc takes 0 as no limit.
func limit(pod *v1.Pod, qos v1.PodQOSClass) string {
	memory := resource.PodLimits(pod, resource.PodResourcesOptions{})[v1.ResourceMemory]
	declared := qos == v1.PodQOSGuaranteed || qos == v1.PodQOSBurstable && memoryLimitsDeclared(pod)
	if !declared || memory.Value() == 0 {
		return "-"
	}
	return fmt.Sprint(memory.Value())
}

func memoryLimitsDeclared(pod *v1.Pod) bool {
	declared := true
	for _, container := range containers(pod) {
		if container.Resources.Limits.Memory().IsZero() {
			declared = false
		}
	}
	if resource.IsPodLevelResourcesSet(pod) && !pod.Spec.Resources.Limits.Memory().IsZero() {
		declared = true
	}
	return declared
}

func containers(pod *v1.Pod) []v1.Container {
	return slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
}

func qosClass(pod *v1.Pod) v1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	if resource.IsPodLevelResourcesSet(pod) {
		return requirementsQOS(pod.Spec.Resources)
	}
	var qos v1.PodQOSClass
	for _, container := range containers(pod) {
		containerQOS := requirementsQOS(&container.Resources)
		if containerQOS == v1.PodQOSBurstable {
			return containerQOS
		} else if qos == "" {
			qos = containerQOS
		} else if qos != containerQOS {
			return v1.PodQOSBurstable
		}
	}
	return qos
}

func requirementsQOS(resources *v1.ResourceRequirements) v1.PodQOSClass {
	if len(resources.Requests) == 0 && len(resources.Limits) == 0 {
		return v1.PodQOSBestEffort
	}
	cpu, memory := resourceQOS(resources, v1.ResourceCPU), resourceQOS(resources, v1.ResourceMemory)
	if cpu != memory {
		return v1.PodQOSBurstable
	}
	return cpu
}

func resourceQOS(resources *v1.ResourceRequirements, name v1.ResourceName) v1.PodQOSClass {
	request, limit := resources.Requests[name], resources.Limits[name]
	if !request.Equal(limit) {
		return v1.PodQOSBurstable
	} else if request.IsZero() {
		return v1.PodQOSBestEffort
	}
	return v1.PodQOSGuaranteed
}
