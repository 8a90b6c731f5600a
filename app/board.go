package app

import (
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/backend/orchestrator"
	"keyturn/backend/text"
)

// A board decides which of the things that are true are told, and when. It is
// the whole memory that notifications have.
//
// A topic is one thing that is true of one connection for a time, such as that
// it has to be reconnected. It goes from gathering to told once it has held for
// a moment, from told to snoozed and back when the user asks for that, and is
// taken back when it holds no longer. What breaks together is told together:
// three topics of a kind make one notification, which then speaks for all of
// that kind until the last has healed.
type board struct {
	bell chan struct{} // rings when the user has changed what is to be told

	mu       sync.Mutex
	attempts map[string]orchestrator.AttemptStatus // as last seen
	connects []connected                           // of the last minute
	chapters map[*standing]*chapter
}

// chapter is what has been told of one kind.
type chapter struct {
	topics  map[string]*topic // by connection id: those that hold
	grouped bool              // one notification speaks for all
}

type topic struct {
	since time.Time // when it began to hold
	told  bool
	quiet time.Time // snoozed until then
}

const (
	// gather is how long a topic holds before it is told: what passes within is
	// not worth a word, and what breaks meanwhile is told with it.
	gather = time.Second
	// snooze is how long a topic rests when the user asks for it.
	snooze = time.Hour
	// manyAtOnce is how many of a kind one notification speaks for.
	manyAtOnce = 3
	// lookAgain is how often it is looked whether time alone has made something
	// worth a notice.
	lookAgain = 30 * time.Second
)

func newBoard() *board {
	return &board{
		bell:     make(chan struct{}, 1),
		attempts: map[string]orchestrator.AttemptStatus{},
		chapters: map[*standing]*chapter{},
	}
}

// look returns what has to be told now, and how long it may take until it is
// looked again.
func (b *board) look(s orchestrator.Snapshot, at time.Time) (list []Notice, again time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	again = lookAgain
	list = b.ended(s, at)
	for i := range standings {
		kind := &standings[i]
		if b.chapters[kind] == nil {
			b.chapters[kind] = &chapter{topics: map[string]*topic{}}
		}
		more, soon := b.chapters[kind].look(kind, s.Connections, at)
		list = append(list, more...)
		again = min(again, soon)
	}
	return list, again
}

// snooze lets what a notification spoke of rest for a while.
func (b *board) snooze(key string, at time.Time) {
	name, id, one := strings.Cut(key, ":")
	b.mu.Lock()
	defer b.mu.Unlock()
	for kind, c := range b.chapters {
		if kind.name != name {
			continue
		}
		for connection, t := range c.topics {
			if t.told && (!one || connection == id) {
				t.told, t.quiet = false, at.Add(snooze)
			}
		}
		c.grouped = c.grouped && one
	}
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

func (c *chapter) look(kind *standing, connections []orchestrator.Connection, at time.Time) (list []Notice, again time.Duration) {
	var holding, news []orchestrator.Connection // told before; to be told
	var gone []string                           // on show, and not true any more
	again = lookAgain
	is := map[string]bool{}
	due := false
	for _, con := range connections {
		if !kind.holds(con, at) {
			continue
		}
		is[con.ID] = true
		t := c.topics[con.ID]
		if t == nil {
			t = &topic{since: at}
			c.topics[con.ID] = t
		}
		wait := max(t.since.Add(gather).Sub(at), t.quiet.Sub(at))
		switch {
		case t.told:
			holding = append(holding, con)
		case t.quiet.After(at):
			again = min(again, wait)
		default:
			news = append(news, con)
			if wait <= 0 {
				due = true
			} else {
				again = min(again, wait)
			}
		}
	}
	for id, t := range c.topics {
		if !is[id] {
			delete(c.topics, id)
			if t.told {
				gone = append(gone, id)
			}
		}
	}
	if !due {
		news = nil
	}
	for _, con := range news {
		c.topics[con.ID].told = true
	}
	told := slices.DeleteFunc(slices.Clone(connections), func(con orchestrator.Connection) bool {
		t := c.topics[con.ID]
		return t == nil || !t.told
	})

	if !c.grouped && len(news) > 0 && len(told) >= manyAtOnce {
		c.grouped = true
		for _, con := range holding {
			gone = append(gone, con.ID)
		}
	} else if c.grouped {
		switch {
		case len(told) == 0:
			c.grouped = false
			return []Notice{{Key: kind.name, Withdraw: true}}, again
		case len(news) == 0 && len(gone) == 0:
			return nil, again
		}
		gone = nil
	}
	for _, id := range gone {
		list = append(list, Notice{Key: kind.name + ":" + id, Withdraw: true})
	}
	if c.grouped {
		n := kind.group(told)
		n.Quiet = len(news) == 0
		return append(list, n), again
	}
	for _, con := range news {
		list = append(list, kind.notice(con))
	}
	return list, again
}

// connected is a connect that was told of.
type connected struct {
	key, whose string
	at         time.Time
}

// ended tells how attempts ended. A row of connects that go well is told as
// one: whoever sets up a computer knows what they are doing.
func (b *board) ended(s orchestrator.Snapshot, at time.Time) (list []Notice) {
	was := b.attempts
	b.attempts = map[string]orchestrator.AttemptStatus{}
	if len(b.connects) > 0 && at.Sub(b.connects[len(b.connects)-1].at) > time.Minute {
		b.connects = nil
	}
	for _, a := range s.Attempts {
		b.attempts[a.Handle] = a.Status
		if a.Status == orchestrator.Pending || was[a.Handle] == a.Status {
			continue
		}
		if a.Status != orchestrator.Complete {
			list = append(list, unconnected(a))
			continue
		}
		if was[a.Handle] == orchestrator.Pending {
			list = append(list, Notice{Key: "attempt:" + a.Provider, Withdraw: true})
		}
		n := complete(a)
		b.connects = append(b.connects, connected{n.Key, connectedWho(a), at})
		if len(b.connects) < manyAtOnce || n.Body != "" { // what was not granted is worth a word of its own
			list = append(list, n)
			continue
		}
		var whose []string
		for _, c := range b.connects {
			list = append(list, Notice{Key: c.key, Withdraw: true})
			whose = append(whose, c.whose)
		}
		list = append(list, Notice{
			Key:     "connected",
			Title:   say().Notices.ManyConnected(len(whose)),
			Body:    text.Clean(strings.Join(whose, ", "), 200) + ".",
			Buttons: []Button{showButton},
		})
	}
	return list
}
