package api

import (
	"context"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
)

func (s *Server) startConnect(ctx context.Context, in *with[wire.ConnectStart]) (wire.ConnectStarted, error) {
	started, err := s.o.Connect(ctx, orchestrator.ConnectRequest{
		Provider:  in.Body.Service,
		ClientID:  in.Body.ClientID,
		Secret:    oauth.NewSecret(in.Body.ClientSecret),
		Scopes:    in.Body.RequestedScopes,
		Account:   in.Body.AccountHint,
		Transport: in.Body.CallbackTransport,
		Choose:    in.Body.ChooseAccount,
		IfNeeded:  in.Body.IfNeeded,
		Starter:   principalOf(ctx).String(),
	})
	if err != nil {
		return wire.ConnectStarted{}, err
	}
	return s.started(ctx, started, in.Body.OpenBrowser), nil
}

func (s *Server) restartConnect(ctx context.Context, in *ofAttempt) (wire.ConnectStarted, error) {
	started, err := s.o.Restart(ctx, in.State, principalOf(ctx).String())
	if err != nil {
		return wire.ConnectStarted{}, err
	}
	return s.started(ctx, started, false), nil
}

// started tells the caller what to open. The URL is for the kind of caller
// that started the attempt: who joins another's gets the handle alone. For the
// window, and for who asks for it, the browser is opened here, unless a tab is
// open already.
func (s *Server) started(ctx context.Context, started orchestrator.Started, open bool) wire.ConnectStarted {
	if c := started.Existing; c != nil {
		return wire.ConnectStarted{
			Service:          c.Provider,
			AlreadyConnected: true,
			ConnectionID:     c.ID,
			AccountInfo:      c.Account,
			GrantedScopes:    c.Granted,
		}
	}
	caller, a := principalOf(ctx), started.Attempt
	out := wire.ConnectStarted{
		Service:   a.Provider,
		State:     a.Handle,
		ExpiresAt: timeOrAbsent(a.Expires),
		Transport: a.Transport,
		Joined:    started.Joined,
		Pastes:    a.Pastes,
		Confirms:  a.Confirms,
		UserCode:  a.UserCode,

		VerificationURI: a.VerificationURI,
	}
	if !started.Joined || a.Starter == caller.String() {
		out.AuthURL = a.URL
	}
	// A code is entered where the user likes; the page is theirs to open.
	if (caller == Window && a.Transport != "device" || open) && !started.Joined {
		out.Browser = "opened"
		if err := s.opts.Open(a.URL); err != nil {
			out.Browser = "failed" // the attempt goes on: the window offers the link
		}
	}
	return out
}

func (s *Server) connectStatus(_ context.Context, in *ofAttempt) (wire.ConnectStatus, error) {
	a, err := s.o.Attempt(in.State)
	if err != nil {
		return wire.ConnectStatus{}, err
	}
	return statusOfAttempt(a), nil
}

// openAttempt opens the page again: the window itself can open nothing.
func (s *Server) openAttempt(_ context.Context, in *ofAttempt) (wire.Done, error) {
	a, err := s.o.Attempt(in.State)
	if err != nil {
		return wire.Done{}, err
	}
	if a.Status != orchestrator.Pending || a.URL == "" {
		return wire.Done{}, fault.New(fault.StateUnknown, "This authorization has no page to open any more. Start again.")
	}
	return wire.Done{OK: true}, s.opts.Open(a.URL)
}

func (s *Server) cancelConnect(_ context.Context, in *ofAttempt) (wire.Done, error) {
	if err := s.o.Cancel(in.State); err != nil {
		return wire.Done{}, err
	}
	return wire.Done{OK: true}, nil
}

// pasteResponse is a POST with a body for a reason: what is pasted holds a code,
// and an address would be in logs and histories.
func (s *Server) pasteResponse(_ context.Context, in *ofAttemptWith[wire.Paste]) (wire.Done, error) {
	if err := s.o.Paste(in.State, in.Body.Text); err != nil {
		return wire.Done{}, err
	}
	return wire.Done{OK: true}, nil
}

func (s *Server) confirmResponse(_ context.Context, in *ofAttemptWith[wire.Confirm]) (wire.Done, error) {
	if err := s.o.Confirm(in.State, in.Body.Code); err != nil {
		return wire.Done{}, err
	}
	return wire.Done{OK: true}, nil
}

func (s *Server) listAttempts(context.Context, *nothing) (wire.Attempts, error) {
	out := wire.Attempts{Attempts: []wire.Attempt{}}
	for _, a := range s.o.Snapshot().Attempts {
		out.Attempts = append(out.Attempts, wire.Attempt{
			ConnectStatus: statusOfAttempt(a),
			State:         a.Handle,
			ServiceName:   a.ProviderName,
			Transport:     a.Transport,
			StartedAt:     a.Started.UTC(),
			StartedBy:     a.Starter,
			UserCode:      a.UserCode,
			Pastes:        a.Pastes && a.Status == orchestrator.Pending,
			Confirms:      a.Confirms && a.Status == orchestrator.Pending,

			VerificationURI: a.VerificationURI,
		})
	}
	return out, nil
}

// statusOfAttempt leaves the URL out: it holds the OAuth state.
func statusOfAttempt(a orchestrator.Attempt) wire.ConnectStatus {
	return wire.ConnectStatus{
		Status:        string(a.Status),
		Service:       a.Provider,
		Step:          string(a.Step),
		AccountInfo:   a.Account,
		GrantedScopes: a.Granted,
		MissingScopes: a.Missing,
		ConnectionID:  a.ConnectionID,
		AskedAccount:  a.Asked,
		Code:          string(a.Code),
		Error:         a.Message,
		ExpiresAt:     a.Expires.UTC(),
	}
}
