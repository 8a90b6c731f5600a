package provider

// nearest returns the candidate most like word, or "" when none is close
// enough to be what was meant: at most one slip in three letters.
func nearest(word string, candidates []string) string {
	best, least := "", max(1, len(word)/3)
	for _, c := range candidates {
		if d := slips(word, c); d > 0 && d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// slips counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment).
func slips(a, b string) int {
	before, above := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
