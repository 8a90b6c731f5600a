//go:build bench && linux

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/api/wire"
)

// callers is how many programs ask at the same moment.
const callers = 100

// onAnExpiredToken has a hundred programs ask at the same moment for a token
// that has just ended.
func onAnExpiredToken(t *testing.T) (all []line) {
	for _, n := range crowds {
		all = append(all, onAnExpiredTokenAmong(t, n))
	}
	return all
}

func onAnExpiredTokenAmong(t *testing.T, crowd int) line {
	a := serve(t, 3*time.Second, 5*time.Millisecond)
	k := rig.Prepare(t)
	a.known(t, k)
	addCrowd(t, k, crowd)
	k.Run("keyturn-headless")
	started := k.JSON(0, "connect", "bench", "--no-browser")
	rig.NewPerson(t).Answer(started["auth_url"].(string), map[string]string{"answer": "allow", "account": "ada"})

	var worst int
	var took, alone []time.Duration
	l := line{id: "B4", what: fmt.Sprintf("%d callers on an expired token, refreshes, %d", callers, crowd), allowed: "exactly 1"}
	for range runs {
		before := untilExpired(t, k, a)
		refreshes := a.Counts().Refreshes
		begun := time.Now()
		tokens := map[string]int{}
		var mu sync.Mutex
		var asking sync.WaitGroup
		c := over(k.Socket())
		for range callers {
			asking.Go(func() {
				_, token, err := tokenOf(t.Context(), c)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Log("a caller was not answered: ", err)
					l.broken = true
				}
				tokens[token]++
			})
		}
		asking.Wait()
		c.CloseIdleConnections()
		took = append(took, time.Since(begun))
		n := a.Counts().Refreshes - refreshes
		if worst = max(worst, n); n != 1 || len(tokens) != 1 || tokens[before] > 0 {
			t.Logf("%d refreshes; %d different tokens; the old one %d times", n, len(tokens), tokens[before])
			l.broken = true
			worst = n
		}
		untilExpired(t, k, a)
		begun = time.Now()
		if _, _, err := tokenOf(t.Context(), over(k.Socket())); err != nil {
			t.Fatal(err)
		}
		alone = append(alone, time.Since(begun))
	}
	l.measured = fmt.Sprintf("%d, all served in %s", worst, show(median(took)))
	l.yardstick = "one caller alone " + show(median(alone))
	l.ratio = float64(median(took)) / float64(median(alone))
	return l
}

// untilExpired waits until the token there is has ended, and returns it.
func untilExpired(t *testing.T, k *rig.Install, a *as) (token string) {
	t.Helper()
	c := over(k.Socket())
	defer c.CloseIdleConnections()
	for {
		expires, token, err := tokenOf(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		refreshes := a.Counts().Refreshes
		time.Sleep(time.Until(expires) + 50*time.Millisecond)
		if a.Counts().Refreshes == refreshes { // else it was renewed early, as one in use is
			return token
		}
	}
}

// tokenOf asks for the token of the only account at the provider "bench".
func tokenOf(ctx context.Context, c *http.Client) (expires time.Time, token string, err error) {
	answer, _, err := post(ctx, c, "/v1/token", `{"provider":"bench"}`)
	if err != nil {
		return time.Time{}, "", err
	}
	var got wire.Token
	if err := json.Unmarshal(answer, &got); err != nil {
		return time.Time{}, "", err
	}
	if got.Token == "" || got.ExpiresAt == nil {
		return time.Time{}, "", fmt.Errorf("no token or no end: %s", answer)
	}
	return *got.ExpiresAt, got.Token, nil
}
