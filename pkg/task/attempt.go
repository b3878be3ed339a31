package task

// Attempt is one failed attempt at a task.
type Attempt struct {
	Attempt int    `json:"attempt"` // 1 for the first one of a run
	At      Time   `json:"at"`
	Code    string `json:"code"`
}
