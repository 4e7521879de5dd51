// Loads a compose file as `docker compose` does (schema, variables, consistency) and prints the project
// as JSON. Exit code 1, and what is wrong, where it can't be loaded.
//
//	compose-load FILE
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
)

func load(file string) ([]byte, error) {
	// No variables but those that the file itself has defaults for: the least that a user may set is none.
	options, err := cli.NewProjectOptions([]string{file}, cli.WithWorkingDirectory(filepath.Dir(file)))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "compose-load FILE")
		os.Exit(2)
	}
	loaded, err := load(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(string(loaded))
}
