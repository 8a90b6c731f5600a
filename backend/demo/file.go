package demo

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The file holds the grants, and of every token its hash. It is replaced as a
// whole, so that a crash leaves the old one or the new one.

const fileName = "demo.json"

type contents struct {
	Version int      `json:"version"`
	Grants  []*grant `json:"grants"`
}

// load reads the grants of an earlier run.
func (s *Server) load() {
	if s.opts.Dir == "" {
		return
	}
	path := filepath.Join(s.opts.Dir, fileName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var c contents
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil && c.Version != 1 {
		err = errors.New("unknown version")
	}
	if err != nil {
		s.opts.Log.Warn("demo: the grants of earlier could not be read and are set aside", "error", err)
		if err := os.Rename(path, path+".damaged"); err != nil {
			s.opts.Log.Warn("demo: could not set them aside", "error", err)
		}
		return
	}
	for _, g := range c.Grants {
		if g != nil && g.ID != "" {
			s.grants[g.ID] = g
		}
	}
}

// saveLocked writes the grants. The caller holds s.mu.
func (s *Server) saveLocked() (err error) {
	if s.opts.Dir == "" {
		return nil
	}
	c := contents{Version: 1, Grants: make([]*grant, 0, len(s.grants))}
	for _, g := range s.grants {
		c.Grants = append(c.Grants, g)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.opts.Dir, fileName+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(s.opts.Dir, fileName))
}
