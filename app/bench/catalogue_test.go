//go:build bench && linux

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"keyturn/backend/provider"
)

// catalogueLimit is what the catalogue may cost a start.
const catalogueLimit = 5 * time.Millisecond

// loading in the environment makes this test a program that loads the catalogue
// once, as a start does, and prints how long that took.
const loading = "BENCH_CATALOGUE"

// loadCatalogue is what a start does with the catalogue: the index is read and
// the list of names made; no entry is decoded.
func loadCatalogue() (time.Duration, int) {
	begun := time.Now()
	c, err := provider.Builtin()
	if err != nil {
		panic(err)
	}
	n := len(c.List())
	return time.Since(begun), n
}

// theCatalogue measures the first load in fresh processes, beside reading and
// checking the same entries as YAML, which is done when the program is built.
func theCatalogue(t *testing.T) []line {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var loads []time.Duration
	for range runs {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), loading+"=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		took, err := time.ParseDuration(string(out))
		if err != nil {
			t.Fatal(err)
		}
		loads = append(loads, took)
	}
	files, err := filepath.Glob("../../backend/provider/catalogue/*.yaml")
	if err != nil || len(files) < 250 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	begun := time.Now()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := provider.Parse(filepath.Base(file), data); err != nil {
			t.Fatal(err)
		}
	}
	return []line{within("B11", "catalogue at the start", median(loads), time.Since(begun), "all of it as YAML", catalogueLimit)}
}
