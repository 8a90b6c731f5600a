package oauth

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsHeldBetweenASecondAndAnHour(t *testing.T) { // RF-13
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                      0,
		"120":                   2 * time.Minute,
		"0":                     time.Second,
		"-1":                    time.Second,
		"-99999999999999999999": time.Second,
		"999999999":             time.Hour,
		"99999999999999999999":  time.Hour,
		"9223372036854775807":   time.Hour,
		"1.5":                   0,
		"soon":                  0,
		" 120":                  0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       time.Second,
		now.AddDate(5000, 0, 0).Format(http.TimeFormat):   time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
