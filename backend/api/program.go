package api

import (
	"context"
	"os"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
)

func (s *Server) health(context.Context, *nothing) (wire.Health, error) {
	host, _ := os.Hostname() // who cannot say it is not compared
	return wire.Health{OK: true, Version: s.opts.Version, PID: os.Getpid(), Program: s.opts.Program, Host: host}, nil
}

func (s *Server) diagnose(ctx context.Context, _ *nothing) (wire.Diagnosis, error) {
	checks := s.opts.Diagnose(ctx)
	if checks == nil {
		checks = []wire.Check{}
	}
	return wire.Diagnosis{Checks: checks}, nil
}

func (s *Server) getSettings(context.Context, *nothing) (wire.Settings, error) {
	return s.opts.Settings(), nil
}

func (s *Server) saveSettings(_ context.Context, in *with[wire.Settings]) (wire.Settings, error) {
	if err := s.opts.SaveSettings(in.Body); err != nil {
		return wire.Settings{}, err
	}
	return s.opts.Settings(), nil
}

func (s *Server) listBrowsers(context.Context, *nothing) (wire.Browsers, error) {
	return wire.Browsers{Browsers: append([]wire.Browser{}, s.opts.Browsers()...)}, nil
}

func (s *Server) open(_ context.Context, in *with[*wire.Open]) (wire.Done, error) {
	if s.opts.Show == nil {
		return wire.Done{}, fault.New(fault.NotFound, "This Keyturn runs without a window. Use the command line, or start keyturn-desktop.")
	}
	view := ""
	if in.Body != nil {
		view = in.Body.View
	}
	if err := s.opts.Show(view); err != nil {
		return wire.Done{}, err
	}
	return wire.Done{OK: true}, nil
}

func (s *Server) openBrowserUI(context.Context, *nothing) (wire.BrowserUI, error) {
	address, expires, err := s.opts.BrowserUI()
	return wire.BrowserUI{URL: address, ExpiresAt: expires.UTC()}, err
}

func (s *Server) quit(context.Context, *nothing) (wire.Done, error) {
	s.opts.Quit()
	return wire.Done{OK: true}, nil
}
