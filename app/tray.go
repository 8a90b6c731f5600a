package app

// room is how many lines the tray keeps for a part of the menu, and how many
// inside each of them.
type room struct{ lines, inside int }

var rooms = map[Kind]room{
	Heading:         {1, 0},
	AttemptLine:     {maxAttempts, 3},
	ConnectionLine:  {maxConnections, 2},
	MoreConnections: {1, 0},
	ConnectMenu:     {1, maxChoices + 1},
	OpenLine:        {1, 0},
	QuitLine:        {1, 0},
}
