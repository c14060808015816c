// .krew.yaml as krew-release-bot fills it in: an object with `template`, `tag` and `checksums` (by address) in JSON in;
// the manifest out.
// https://github.com/rajatjindal/krew-release-bot/blob/12767d16a333ea47177c94cb9dea3ee9277a012f/pkg/source/template.go
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type release struct{ TagName string }

func main() {
	var asked struct {
		Template, Tag string
		Checksums     map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	functions := template.FuncMap{
		"addURIAndSha": func(address, tag string) (string, error) {
			var url strings.Builder
			if err := template.Must(template.New("url").Parse(address)).Execute(&url, release{tag}); err != nil {
				return "", err
			}
			sum, ok := asked.Checksums[url.String()]
			if !ok {
				return "", fmt.Errorf("nothing at %s", &url)
			}
			return fmt.Sprintf("uri: %s\n    sha256: %s", &url, sum), nil
		},
	}
	filled := template.Must(template.New(".krew.yaml").Funcs(functions).Parse(asked.Template))
	if err := filled.Execute(os.Stdout, release{asked.Tag}); err != nil {
		panic(err)
	}
}
