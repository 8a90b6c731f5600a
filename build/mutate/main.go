// Program mutate removes guards, one at a time, and sees whether a test notices:
// a guard that nothing misses is not proved. It changes no file: the compiler is
// given the changed text in the place of the true one (go build -overlay).
//
//	go run ./build/mutate [REGEXP of names]
//
// It prints which test bit, and exits 1 when a guard was missed by none.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A mutant is a guard that is taken out of a file: old becomes new.
type mutant struct {
	guard    string
	file     string
	old, new string
	tests    []string // packages
}

func main() {
	only := regexp.MustCompile(strings.Join(os.Args[1:], "|"))
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		fail(err)
	}
	defer os.RemoveAll(dir)
	survived, tried := 0, 0
	for _, m := range mutants {
		if !only.MatchString(m.guard) {
			continue
		}
		tried++
		bit, err := m.try(dir)
		switch {
		case err != nil:
			fail(fmt.Errorf("%s: %w", m.guard, err))
		case bit == "":
			survived++
			fmt.Printf("MISSED BY NONE  %s\n", m.guard)
		default:
			fmt.Printf("%-60s %s\n", m.guard, bit)
		}
	}
	fmt.Printf("%d guards taken out, %d missed by no test\n", tried, survived)
	if survived > 0 {
		os.Exit(1)
	}
}

// try returns the name of the first test that fails without the guard.
func (m mutant) try(dir string) (bit string, err error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%q is %d times in %s", m.old, n, m.file)
	}
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command("go", append([]string{"test", "-count=1", "-timeout=3m", "-overlay=" + list}, m.tests...)...).CombinedOutput()
	if err == nil {
		return "", nil
	}
	if strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]") {
		return "", fmt.Errorf("does not compile:\n%s", out)
	}
	deepest := ""
	for _, line := range strings.Split(string(out), "\n") {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); found {
			deepest, _, _ = strings.Cut(name, " (")
			if strings.Contains(deepest, "/") {
				break
			}
		}
	}
	if deepest == "" {
		deepest = "a test that did not end"
	}
	return deepest, nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}
