package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/relay/hub"
)

// folder is what the gateway keeps between runs: its keys, and who is enrolled.
// All of it is readable by its owner alone.
type folder string

// usualFolder is where systemd says, or the user's own.
func usualFolder() string {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "keyturn-gateway")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "keyturn-gateway"
	}
	return filepath.Join(home, ".local", "state", "keyturn-gateway")
}

// enrolled is one app that this gateway knows.
type enrolled struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Way     string    `json:"way"` // relay or forward
	Since   time.Time `json:"since"`
	Revoked bool      `json:"revoked,omitempty"`
	// App and Bearer are for forward: where the app is, and what it asks for.
	App    string `json:"app,omitempty"`
	Bearer string `json:"bearer,omitempty"`
}

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// read returns a file that only its owner can read, nil when there is none.
func (f folder) read(name string) ([]byte, error) {
	info, err := os.Stat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0) {
		return nil, fault.New(fault.Forbidden, "%s can be read by others. Make it yours alone: chmod 600 %s", f.path(name), f.path(name))
	}
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		return nil, fault.Wrap(err, fault.BadRequest, "%s cannot be read: check that it is a file of yours.", f.path(name))
	}
	return data, nil
}

// write replaces a file so that a reader sees the old one or the new.
func (f folder) write(name string, data []byte) error {
	err := os.MkdirAll(string(f), 0o700)
	var temp *os.File
	if err == nil {
		temp, err = os.CreateTemp(string(f), "."+name+"-*") // mode 0600
	}
	if err == nil {
		defer os.Remove(temp.Name())
		_, err = temp.Write(data)
		err = errors.Join(err, temp.Sync(), temp.Close())
	}
	if err == nil {
		err = os.Rename(temp.Name(), f.path(name))
	}
	if err != nil {
		return fault.Wrap(err, fault.DiskFull, "%s cannot be written: see that its folder is yours and that the disk has room.", f.path(name))
	}
	return nil
}

// keys returns the keys of this gateway; make makes them when there are none.
func (f folder) keys(make bool) (*hub.Keys, error) {
	data, err := f.read("keys")
	if err != nil {
		return nil, err
	}
	if data != nil {
		return hub.ParseKeys(strings.TrimSpace(string(data)))
	}
	if !make {
		return nil, fault.New(fault.NotFound, "Nobody is enrolled yet. Enrol an app with: keyturn-gateway enrol --name NAME --url URL")
	}
	k := hub.NewKeys()
	return k, f.write("keys", []byte(k.Text()+"\n"))
}

func (f folder) enrolments() ([]enrolled, error) {
	data, err := f.read("enrolments.json")
	if err != nil || data == nil {
		return nil, err
	}
	var all []enrolled
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fault.Wrap(err, fault.FileDamaged, "%s is damaged. Restore it, or move it away and enrol the apps anew.", f.path("enrolments.json"))
	}
	return all, nil
}

func (f folder) save(all []enrolled) error {
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return f.write("enrolments.json", append(data, '\n'))
}

// newID names an enrolment for forward, newBearer is what it proves itself with.
func newID() string     { return strings.ToLower(rand.Text()[:12]) }
func newBearer() string { return rand.Text() + rand.Text() }
