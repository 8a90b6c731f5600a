package gateway

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// buckets of the histogram of how long answers took, in seconds.
var buckets = []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10}

// counts are what happened, without any name in it. An outcome is one of a few
// words of ours, so the map stays small; it is replaced when one is new.
type counts struct {
	mu       sync.Mutex // held to replace the map
	outcomes atomic.Pointer[map[string]*atomic.Uint64]
	took     [8]atomic.Uint64 // by bucket, the last one for what was longer
	nanos    atomic.Uint64
}

func (c *counts) count(outcome string, took time.Duration) {
	n := (*c.outcomes.Load())[outcome]
	if n == nil {
		n = c.add(outcome)
	}
	n.Add(1)
	i, _ := slices.BinarySearch(buckets, took.Seconds())
	c.took[i].Add(1)
	c.nanos.Add(uint64(took))
}

func (c *counts) add(outcome string) *atomic.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.outcomes.Load()
	if n := old[outcome]; n != nil {
		return n
	}
	next := maps.Clone(old)
	next[outcome] = new(atomic.Uint64)
	c.outcomes.Store(&next)
	return next[outcome]
}

// WriteMetrics writes the counts in the text format of Prometheus (version
// 0.0.4), which needs no library for a dozen lines.
func (g *Gateway) WriteMetrics(w io.Writer) {
	c := &g.counted
	fmt.Fprint(w, "# HELP keyturn_gateway_callbacks_total Callbacks, by what became of them.\n# TYPE keyturn_gateway_callbacks_total counter\n")
	outcomes := *c.outcomes.Load()
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		fmt.Fprintf(w, "keyturn_gateway_callbacks_total{outcome=%q} %d\n", outcome, outcomes[outcome].Load())
	}
	fmt.Fprint(w, "# HELP keyturn_gateway_answer_seconds How long answers took.\n# TYPE keyturn_gateway_answer_seconds histogram\n")
	var sum uint64
	for i, le := range buckets {
		sum += c.took[i].Load()
		fmt.Fprintf(w, "keyturn_gateway_answer_seconds_bucket{le=\"%g\"} %d\n", le, sum)
	}
	sum += c.took[len(buckets)].Load()
	fmt.Fprintf(w, "keyturn_gateway_answer_seconds_bucket{le=\"+Inf\"} %d\nkeyturn_gateway_answer_seconds_sum %g\nkeyturn_gateway_answer_seconds_count %d\n",
		sum, time.Duration(c.nanos.Load()).Seconds(), sum)
}
