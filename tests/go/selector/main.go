// Reads selectors as the API server does: a JSON array of a label selector, a field selector, labels and fields a line
// in; "error", or whether the labels match, out, and the same for the fields.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

type question struct {
	Labels, Fields string
	Has            map[string]string
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var asked question
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			panic(err)
		}
		fmt.Fprintln(out, byLabels(asked), byFields(asked))
	}
	if err := in.Err(); err != nil {
		panic(err)
	}
}

func byLabels(asked question) string {
	selector, err := labels.Parse(asked.Labels)
	if err != nil {
		return "error"
	}
	return fmt.Sprint(selector.Matches(labels.Set(asked.Has)))
}

func byFields(asked question) string {
	selector, err := fields.ParseSelector(asked.Fields)
	if err != nil {
		return "error"
	}
	return fmt.Sprint(selector.Matches(fields.Set(asked.Has)))
}
