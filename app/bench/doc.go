// Package bench holds no code: its test (build tag bench) measures the real
// programs over real sockets and prints one table, the budgets of speed and
// memory. KEYTURN_BIN is the folder of the programs; `make bench` builds them.
//
// The rules:
//
//   - No figure without its yardstick, measured in the same run, in turns with
//     it, on the same machine: machines are noisy, and shared.
//   - Every figure is the median of five runs.
//   - A promise that knows no noise (one refresh, the genuine callback gets
//     through) fails the test when it is broken. A figure fails it only beyond
//     twice what is allowed; up to there the table says so, and a person looks.
//
// B3, B4, B5 and B7 are measured with 1, 100 and 1,000 connections: the budgets
// are promised for 100, the others show what grows. OA is what users of Debian's
// oidc-agent would feel: the same server, fifty processes on an expired token,
// and a neighbour whose provider hangs.
//
// blank is a yardstick: the least program with the same window and tray.
package bench
