package main

import (
	"io"
	"strings"
	"unicode/utf8"

	"keyturn/backend/text"
)

// table is rows of cells for people; the first row is the heading.
type table [][]string

// widest is how long a cell may get; the last of a row has all the room.
const widest = 60

// write aligns the columns. Every cell is cleaned: a name from a stranger
// must not move the cursor or make a line of its own.
func (t table) write(w io.Writer) {
	var width []int
	for _, row := range t {
		for i, cell := range row {
			room := widest
			if i == len(row)-1 {
				room = sentence
			}
			row[i] = text.Clean(cell, room)
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range t {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		io.WriteString(w, strings.TrimRight(line.String(), " ")+"\n")
	}
}
