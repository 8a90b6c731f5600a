package wire

import "time"

// Event is one thing that happened to a grant, or several alike.
type Event struct {
	ID           uint64     `json:"id" doc:"Grows with time; an event that goes on keeps it"`
	At           time.Time  `json:"at"`
	Until        *time.Time `json:"until,omitempty" doc:"When it happened last, if more than once"`
	Kind         string     `json:"kind" enum:"connected,connect_failed,refreshed,refresh_failed,needs_reconnect,token_read,request,disconnected,revoked,revocation_failed,locked,unlocked,exported,imported,protector_changed"`
	ConnectionID string     `json:"connection_id,omitempty"`
	Provider     string     `json:"provider,omitempty"`
	ProviderName string     `json:"provider_name,omitempty"`
	Account      string     `json:"account,omitempty"`
	Principal    string     `json:"principal,omitempty" doc:"local, window or web_ui; absent: Keyturn by itself"`
	Program      string     `json:"program,omitempty" doc:"What the system calls the program; it is no proof"`
	PID          int        `json:"pid,omitempty" doc:"Of its process, the last one when there were several"`
	Code         string     `json:"code,omitempty" doc:"Why it failed, or why it happened"`
	Count        int        `json:"count" minimum:"1" doc:"How many alike within a minute"`
}

// Activity lists events, newest first.
type Activity struct {
	Recording bool    `json:"recording" doc:"Whether more is being recorded: see settings"`
	Activity  []Event `json:"activity" nullable:"false"`
}
