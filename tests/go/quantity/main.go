// Reads quantities as the API server does: one JSON text a line in; "error", or unscaled amount, decimal exponent
// and Value() out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/api/resource"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var quantity resource.Quantity
		if err := json.Unmarshal(in.Bytes(), &quantity); err != nil {
			fmt.Fprintln(out, "error")
			continue
		}
		value := quantity.Value()
		exact := quantity.AsDec()
		fmt.Fprintln(out, exact.UnscaledBig(), -int64(exact.Scale()), value)
	}
	if err := in.Err(); err != nil {
		panic(err)
	}
}
