package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/text"
)

// providerFiles are the providers that the user describes in files, one YAML
// document each, in the folder "providers" beside the settings file. They are
// read when they change; of a file that cannot be used the last good version
// counts, and doctor says what is wrong with it.
type providerFiles struct {
	dir string
	log *slog.Logger

	mu    sync.Mutex
	good  map[string]provider.Provider // by file name
	wrong []string                     // sentences
	seen  string                       // what the folder looked like
}

const (
	lookEvery = 2 * time.Second
	maxFiles  = 200
)

func newProviderFiles(settings string, log *slog.Logger) *providerFiles {
	return &providerFiles{dir: filepath.Join(filepath.Dir(settings), "providers"), log: log, good: map[string]provider.Provider{}}
}

// at gives the orchestrator what the files say, at once, and returns what does
// so at each change.
func (f *providerFiles) at(core *orchestrator.Orchestrator) func(context.Context) error {
	look := func() {
		if all, changed := f.read(); changed {
			f.note(core.FileProviders(all))
		}
	}
	look()
	return func(ctx context.Context) error {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				look()
			}
		}
	}
}

// read reads the files if the folder has changed since the last time.
func (f *providerFiles) read() (all []provider.Provider, changed bool) {
	names, look := f.look()
	f.mu.Lock()
	defer f.mu.Unlock()
	if look == f.seen {
		return nil, false
	}
	f.seen, f.wrong = look, nil
	good := map[string]provider.Provider{}
	for _, name := range names {
		p, err := readProvider(filepath.Join(f.dir, name))
		if err == nil && p.ID+".yaml" != name {
			err = fault.New(fault.BadRequest, "%s describes the provider %s: name the file %s.yaml.", text.Clean(name, 80), p.ID, p.ID)
		}
		if err != nil {
			f.wrong = append(f.wrong, fault.MessageOf(err))
			f.log.Warn("provider file not used", "error", fault.MessageOf(err))
			if old, ok := f.good[name]; ok {
				good[name] = old
			}
			continue
		}
		good[name] = p
	}
	f.good = good
	for _, name := range names {
		if p, ok := good[name]; ok {
			all = append(all, p)
		}
	}
	return all, true
}

// look lists the files, and what would be another word if one had changed.
func (f *providerFiles) look() (names []string, look string) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, ""
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !strings.HasSuffix(e.Name(), ".yaml") || len(names) == maxFiles {
			continue
		}
		names = append(names, e.Name())
		fmt.Fprintf(&b, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
	}
	return names, b.String()
}

func readProvider(file string) (provider.Provider, error) {
	name := filepath.Base(file)
	opened, err := os.Open(file)
	if err != nil {
		return provider.Provider{}, fault.Wrap(err, fault.BadRequest, "%s cannot be read.", text.Clean(name, 80))
	}
	defer opened.Close()
	data, err := io.ReadAll(io.LimitReader(opened, provider.MaxFile+1))
	if err != nil {
		return provider.Provider{}, fault.Wrap(err, fault.BadRequest, "%s cannot be read.", text.Clean(name, 80))
	}
	p, err := provider.Parse(name, data)
	if err != nil {
		return provider.Provider{}, err
	}
	if err := p.ErrUnfilled(); err != nil {
		return provider.Provider{}, fault.New(fault.BadRequest, "%s has variables without a value: write them out.", text.Clean(name, 80))
	}
	return p, nil
}

// note remembers what was refused, for doctor.
func (f *providerFiles) note(refused map[string]error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, err := range refused {
		f.wrong = append(f.wrong, fault.MessageOf(err))
		f.log.Warn("provider file not used", "error", fault.MessageOf(err))
	}
	slices.Sort(f.wrong)
}

// state is how many files count, and what is wrong with the others.
func (f *providerFiles) state() (count int, wrong []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.good), slices.Clone(f.wrong)
}
