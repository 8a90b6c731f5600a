//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

func TestTheSecondCtrlCEndsAtOnce(t *testing.T) {
	app := beside(t)
	if err := app.start(); err != nil {
		t.Fatal(err)
	}
	app.changed(func() { app.person = "never-hears" })
	t.Setenv("GORACE", unhurried)
	var stdout bytes.Buffer
	cmd := exec.Command("keyturn", "connect", "demo", "--json")
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"GET .*/status/", "/cancel$"} {
		for !app.wasAsked(regexp.MustCompile(pattern)) {
			time.Sleep(5 * time.Millisecond)
		}
		cmd.Process.Signal(os.Interrupt)
	}
	second := time.Now()
	cmd.Wait()
	if d := time.Since(second); d > parting/2 {
		t.Errorf("took %v", d)
	}
	v, err := oneValue(stdout.Bytes())
	if err != nil || v["code"] != "cancelled" || cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("exit %d, %s, %v", cmd.ProcessState.ExitCode(), stdout.String(), err)
	}
}
