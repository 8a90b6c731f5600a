package app

import (
	"context"
	"regexp"
	"strings"
	"time"

	"keyturn/backend/api"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/text"
)

// act does what a click asks for. It does not block: menus and notification
// servers wait for nobody.
func (a *App) act(action Action) {
	a.clicks.Go(func() { a.do(a.ctx, action) })
}

func (a *App) do(ctx context.Context, action Action) {
	switch action.Verb {
	case Show:
		a.show(action.Arg)
	case Connect:
		a.connect(ctx, orchestrator.ConnectRequest{Provider: action.Arg})
	case Reconnect:
		a.reconnect(ctx, action.Arg)
	case Disconnect:
		a.disconnect(ctx, action.Arg)
	case OpenPage:
		a.openPage(action.Arg)
	case CopyLink:
		a.copyLink(ctx, action.Arg)
	case Cancel:
		if err := a.core.Cancel(action.Arg); err != nil {
			a.log.Info("cancel from the menu", "err", err)
		}
	case Snooze:
		a.board.snooze(action.Arg, time.Now())
	case Pause:
		a.core.Pause(action.Arg != "")
	case Lock:
		if err := a.core.Lock(ctx); err != nil {
			a.log.Warn("lock from the menu", "err", err)
			return
		}
		a.ui.End()
	case Unlock:
		if err := a.core.Unlock(ctx, nil); err != nil { // a passphrase is asked for in the window
			a.log.Info("unlock from the menu", "err", err)
			a.show("settings")
		}
	case Quit:
		a.quit()
	}
}

// show brings the window up. Without one, a view that would lead to a connect
// leads to it directly, and any other to the same pages in the browser.
func (a *App) show(view string) {
	err := a.window.show(valid(view))
	if err == nil {
		return
	}
	a.log.Info("no window to show", "err", err)
	if id, ok := strings.CutPrefix(view, viewOfProvider("")); ok {
		a.connect(a.ctx, orchestrator.ConnectRequest{Provider: id})
		return
	}
	link, _, err := a.ui.Link()
	if err == nil {
		err = a.openURL(link)
	}
	if err != nil {
		a.log.Warn("no pages in a browser either", "err", err)
	}
}

// open is show for other programs, which have to know whether it worked.
func (a *App) open(view string) error {
	if err := a.window.show(valid(view)); err != nil {
		return fault.Wrap(err, fault.NotFound, "Keyturn has no window here: %s. Use the command line, or start it where there is a display.", err)
	}
	return nil
}

var viewShape = regexp.MustCompile(`^[a-z]{1,32}(\?[a-z]{1,32}=[A-Za-z0-9_-]{1,64})?$`)

// valid returns the address of a view, or that of the first one when there is
// no such view: programs ask for views, too, and write connect/github for the
// one of a provider.
func valid(view string) string {
	if id, ok := strings.CutPrefix(view, ViewConnect+"/"); ok {
		view = viewOfProvider(id)
	}
	if !viewShape.MatchString(view) {
		return ViewConnections
	}
	return view
}

// connect starts an attempt and opens its page in the browser. The menu and
// the window are the same person, so their attempts are the same to the API.
func (a *App) connect(ctx context.Context, r orchestrator.ConnectRequest) {
	r.Starter = api.Window.String()
	started, err := a.core.Connect(ctx, r)
	name := text.Markup(a.nameOf(r.Provider), 40)
	switch {
	case err != nil:
		a.log.Info("connect from the menu", "provider", r.Provider, "code", fault.CodeOf(err))
		a.tell(Notice{
			Key:     "attempt:" + r.Provider,
			Title:   say().Notices.NotConnected(name),
			Body:    text.Markup(fault.MessageOf(err), 200),
			Buttons: []Button{{say().Notices.Show, Action{Show, viewOfProvider(r.Provider)}}},
		})
	case started.Joined:
		a.tell(Notice{
			Key:     "attempt:" + r.Provider,
			Title:   say().Notices.WaitsFor(name),
			Buttons: []Button{{say().Notices.OpenPage, Action{OpenPage, started.Attempt.Handle}}, {say().Notices.CopyLink, Action{CopyLink, started.Attempt.Handle}}},
		})
	default:
		a.browse(started.Attempt)
	}
}

func (a *App) nameOf(provider string) string {
	if p, err := a.core.Provider(provider); err == nil {
		return p.Name
	}
	return provider
}

// reconnect asks for the same account, OAuth app and scopes again.
func (a *App) reconnect(ctx context.Context, id string) {
	c, err := a.core.Connection(id)
	if err != nil {
		return // it was disconnected meanwhile, and the menu shows that
	}
	a.connect(ctx, orchestrator.ConnectRequest{
		Provider: c.Provider,
		ClientID: c.ClientID,
		Scopes:   append(append([]string(nil), c.Granted...), c.Missing...),
		Account:  c.Account,
	})
}

// browse opens the page of an attempt. When no browser comes up the attempt
// goes on: its link can be copied.
func (a *App) browse(attempt orchestrator.Attempt) {
	err := a.openURL(attempt.URL)
	if err == nil {
		return
	}
	a.log.Warn("the browser was not opened", "provider", attempt.Provider, "code", fault.CodeOf(err), "err", err)
	a.tell(Notice{
		Key:     "attempt:" + attempt.Provider,
		Title:   say().Notices.NoBrowserFor(text.Markup(attempt.ProviderName, 40)),
		Body:    text.Markup(fault.MessageOf(err), 200),
		Buttons: []Button{{say().Notices.CopyLink, Action{CopyLink, attempt.Handle}}},
	})
}

func (a *App) openPage(handle string) {
	if attempt, ok := a.waiting(handle); ok {
		a.browse(attempt)
	}
}

// waiting returns an attempt whose page can still be opened.
func (a *App) waiting(handle string) (orchestrator.Attempt, bool) {
	attempt, err := a.core.Attempt(handle)
	return attempt, err == nil && attempt.Status == orchestrator.Pending && attempt.URL != ""
}

// copyLink puts the link of an attempt on the clipboard, or shows it where the
// user can take it from.
func (a *App) copyLink(ctx context.Context, handle string) {
	attempt, ok := a.waiting(handle)
	if !ok || a.window.copy(attempt.URL) {
		return
	}
	err := copyWithTool(ctx, attempt.URL)
	if err == nil || a.window.show(viewOfAttempt(handle)) == nil {
		return
	}
	a.log.Info("the link was not copied", "err", err)
	a.tell(Notice{
		Key:   "attempt:" + attempt.Provider,
		Title: say().Notices.LinkNotCopied,
		Body:  say().Notices.NoClipboard(attempt.Provider),
	})
}

func (a *App) disconnect(ctx context.Context, id string) {
	d, err := a.core.Disconnect(ctx, id)
	name := text.Markup(d.ProviderName, 40)
	switch {
	case fault.CodeOf(err) == fault.NotConnected:
		return // somebody else was faster
	case err != nil:
		a.log.Warn("disconnect from the menu", "connection", id, "code", fault.CodeOf(err), "err", err)
		a.tell(Notice{
			Key:     "connection:" + id,
			Title:   strings.TrimSpace(say().Notices.NotDisconnected(name)),
			Body:    text.Markup(fault.MessageOf(err), 200),
			Buttons: []Button{showButton},
		})
	case d.Pending:
		a.tell(Notice{
			Key:   "connection:" + id,
			Title: say().Notices.DisconnectedHere(name),
			Body:  say().Notices.RevokingLater(name),
		})
	case !d.Revoked:
		a.tell(Notice{
			Key:   "connection:" + id,
			Title: say().Notices.DisconnectedHere(name),
			Body:  say().Notices.RevocationNotConfirmed(name),
		})
	}
}

// tell shows a notice that answers the user's own click. When it cannot be
// shown, the window can.
func (a *App) tell(n Notice) {
	if a.notify(n) != nil && len(n.Buttons) > 0 && n.Buttons[0].Action.Verb == Show {
		_ = a.window.show(n.Buttons[0].Action.Arg)
	}
}
